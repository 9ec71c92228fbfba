"""What the pages say agrees with the scripts, the data, the editors' files, and the other language."""

import collections
import json
import re
import textwrap
from urllib.parse import unquote

import pytest

import filter_validate
from suite.handbook.conftest import EXECUTED
from support.topology import PROJECT, SCRIPTS

EXCERPT = rf"python in ({'|'.join(SCRIPTS)})"
NOT_EXECUTED = "sh once|bat|azurecli|mermaid"
SAME = ["heading_open", "fence"]  # in both languages; a diagram's labels are translated


def source(name):
    """Return the text of a file of the project."""
    return (PROJECT / name).read_text(encoding="utf-8")


@pytest.fixture
def lines(page):
    """All lines of the page's blocks."""
    return [line for block in page.blocks for line in block.content.splitlines()]


def test_blocks_are_of_a_known_kind_and_name_what_is_there(page):
    tags = "".join(token.content for token in page.tokens if token.type == "html_block")
    assert "```" not in tags  # without an empty line above, GitHub shows no block
    made = re.findall(r"^cp \S+ (\S+)$", page.text, re.M)  # the exercises' copies
    for block in page.blocks:
        assert re.fullmatch(f"{EXECUTED}|{EXCERPT}|{NOT_EXECUTED}", block.info), block
        if re.fullmatch(EXCERPT, block.info):
            text = "\n" + source(block.info.split()[2])
            indented = [textwrap.indent(block.content, " " * n) for n in range(0, 24, 4)]
            assert any("\n" + excerpt in text for excerpt in indented), block
        elif block.info.startswith("python "):
            assert block.content.startswith(f"# {block.info.split()[1]}\n"), block
        elif re.fullmatch(NOT_EXECUTED, block.info):
            for file in re.findall(r"\S+\.(?:example|py|txt)\b", block.content):
                assert (PROJECT / file.replace("\\", "/")).exists() or file in made, (file, block)


def test_both_languages_are_short_and_have_the_same_headings_and_blocks(pages):
    assert max(page.text.count("\n") for page in pages.values()) <= 700
    english, japanese = (
        [(t.tag, t.info, t.info == "mermaid" or t.content) for t in page.tokens if t.type in SAME]
        for page in pages.values()
    )
    assert english == japanese


def test_links_resolve(page, pages):
    for child in [child for token in page.tokens for child in token.children or []]:
        link = child.attrGet("href") or child.attrGet("src")
        if link and not link.startswith("https://"):
            file, _, anchor = unquote(link).partition("#")
            assert (PROJECT / file).exists(), link
            tokens = pages[file or page.name].tokens if anchor else []
            assert not anchor or anchor in {token.attrGet("id") for token in tokens}, link


def test_constants_are_those_of_the_scripts(page):
    constants = set(re.findall(r"^([A-Z_]+) = ([\d.]+)\b", "".join(map(source, SCRIPTS)), re.M))
    shown = set(re.findall(r"^\| `([A-Z_]+)` \| `([\d.]+)` \|", page.text, re.M))
    assert len(shown) > 3
    assert shown <= constants


def test_counts_of_the_orders_in_the_file_are_those_of_the_page(page):
    """What becomes of each order, the filter's own functions say."""
    counts = collections.Counter()
    for line in source("tests/data/orders.jsonl").splitlines():
        try:
            valid = filter_validate.validate(filter_validate.parse(line))
            counts["arrived" if valid else "rejected"] += 1
        except ValueError:
            counts["poisoned"] += 1
    assert counts == {"arrived": 109, "rejected": 7, "poisoned": 4}
    numbers = [set(re.findall(r"\d+", line)) for line in page.text.splitlines()]
    assert any({"120", "109"} <= found for found in numbers)


def test_ci_runs_a_command_of_the_page(page, lines):
    (command,) = re.findall("- run: (.+)", source(".github/workflows/test.yml"))
    assert command in lines
    pattern = re.search(r"grep -m 1 '(.+)' README.md", source(".ci/run")).group(1)
    assert re.findall(pattern + "$", page.text, re.M)
    assert ".ci/run" in page.text


def test_tasks_of_vs_code_run_commands_of_the_page(lines):
    pipes, request, emulator, *scripts = json.loads(source(".vscode/tasks.json"))["tasks"]
    labels = [task["label"] for task in scripts]
    assert pipes["dependsOn"] + request["dependsOn"] == labels
    assert {task["args"][0] for task in scripts} == set(SCRIPTS)
    for task in [emulator, *scripts]:
        assert f"python {task['args'][0]}" in lines
    for task in scripts:  # the emulator's makes the venv if need be; without a .env they say so
        assert task["dependsOn"] == emulator["label"]
        assert task["command"] == "${workspaceFolder}/venv/bin/python"
        assert task["windows"] == {"command": "${workspaceFolder}/venv/Scripts/python.exe"}
    background = emulator["problemMatcher"]["background"]  # the scripts wait for this
    assert f'f"{background["beginsPattern"][1:]}' in source("tests/support/environment.py")
    assert "Azurite did not start: " in source("tests/support/emulator.py")
    starts = [line for line in lines if line.startswith("Azurite listens on http")]
    for line in (starts[0], "Azurite did not start: "):
        assert re.search(background["endsPattern"], line)


def test_dev_container_sets_up_with_commands_of_the_page(lines):
    container = json.loads(source(".devcontainer/devcontainer.json"))
    copy, demo = container["postCreateCommand"].split("; ")
    assert {copy.replace("[ -e .env ] || ", ""), demo} <= set(lines)
    settings = container["customizations"]["vscode"]["settings"]
    assert settings["python.defaultInterpreterPath"].endswith("/venv/bin/python")
