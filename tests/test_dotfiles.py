"""The files for editors, containers and CI name commands of the README, which its test runs."""

import collections
import json
import re
import subprocess
import sys
import xml.etree.ElementTree

import yaml
from conftest import POLLERS, PROJECT
from test_readme import steps

COMMANDS = {line for _, text, _ in steps("README.md") for line in text.splitlines()}


def test_tasks_are_commands_of_the_readme():
    tasks = json.loads((PROJECT / ".vscode" / "tasks.json").read_text())["tasks"]
    by_label = {task["label"]: task for task in tasks}
    started = set()
    for task in tasks:
        if "args" in task:
            assert task["command"].endswith("venv/bin/python")
            assert task["windows"]["command"].endswith("venv/Scripts/python.exe")
            assert "python " + " ".join(task["args"]) in COMMANDS
            assert task["label"] == "Emulator" or task["dependsOn"] == "Emulator"
        else:
            parts = [by_label[label] for label in task["dependsOn"]]
            assert len({part["presentation"]["group"] for part in parts}) == 1  # side by side
            started |= {part["args"][0] for part in parts}
    assert started == {*POLLERS, "pipe_producer.py", "requestor.py"}


def test_devcontainer_runs_commands_of_the_readme():
    text = (PROJECT / ".devcontainer" / "devcontainer.json").read_text()
    assert set(json.loads(text)["postCreateCommand"].split(" && ")) <= COMMANDS


def test_workflow_runs_the_readmes_test_command():
    workflow = yaml.safe_load((PROJECT / ".github" / "workflows" / "test.yml").read_text())
    job = workflow["jobs"]["test"]
    (command,) = [step["run"] for step in job["steps"] if "run" in step]
    assert command in COMMANDS
    assert job["strategy"]["matrix"]["python"][0] == "3.8"
    assert job["strategy"]["matrix"]["python"][-1] == "3.x"
    systems = " ".join(job["strategy"]["matrix"]["os"])
    assert all(system in systems for system in ("ubuntu", "macos", "windows"))


def texts(path):
    """Return how often each text stands in an SVG, with ids, times and cut ends made equal."""
    root = xml.etree.ElementTree.parse(str(path)).getroot()
    found = collections.Counter()
    for element in root.iter("{http://www.w3.org/2000/svg}text"):
        text = (element.text or "").replace("\u00a0", " ")
        text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]+|\d{4}-\d\d-\d\dT[\d:.+]+", "...", text)
        found[text] += 1
    return found


def test_picture_shows_a_run_of_the_demo(tmp_path):
    path = tmp_path / "demo.svg"
    command = [sys.executable, str(PROJECT / "tests" / "picture.py"), str(path)]
    subprocess.run(command, check=True, timeout=120, stdout=subprocess.DEVNULL)
    assert texts(path) == texts(PROJECT / ".github" / "demo.svg")
    assert any("Fully processed" in text for text in texts(path))
