"""The scripts' shape: what they share is the same to the letter, and they share nothing else."""

import ast
import collections
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from suite.helpers.copies import TOP_LEVEL
from support.topology import POLLERS, PROJECT, SCRIPTS

MODULES = {"azure", "datetime", "dotenv", "json", "os", "re", "sys", "time", "traceback", "uuid"}
TEXTS = {script: (PROJECT / script).read_text(encoding="utf-8") for script in SCRIPTS}


def test_functions_and_constants_of_one_name_are_the_same_to_the_letter():
    versions = collections.defaultdict(list)
    for text in TEXTS.values():
        for node in ast.parse(text).body:
            if isinstance(node, (ast.FunctionDef, ast.Assign)):
                name = node.name if isinstance(node, ast.FunctionDef) else node.targets[0].id
                lines = text.splitlines()[node.lineno - 1 : node.end_lineno]  # with comments
                versions[name].append("\n".join(lines))
    different = {name for name, texts in versions.items() if len(set(texts)) > 1}
    assert different == {"handle", "main", "INPUT_QUEUE", "OUTPUT_QUEUE", "POISON_QUEUE"}
    assert {len(versions[name]) for name in ("connect", "main")} == {len(SCRIPTS)}


def test_scripts_differ_only_in_their_label_where_they_do_the_same():
    """All in how they begin, pollers in what happens when main() ends, the filters in main(), too."""
    parts = {"^if __name__.*?try:": SCRIPTS, "^if __name__.*": POLLERS, "^def main.*": POLLERS[:2]}
    for part, scripts in parts.items():
        found = [re.search(part, TEXTS[script], re.M | re.S).group() for script in scripts]
        assert len({re.sub(r"\[[A-Z][\w: ]+\]", "[]", text) for text in found}) == 1


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_is_short_and_plain(script):
    for node in ast.walk(ast.parse(TEXTS[script])):
        assert not isinstance(node, ast.ClassDef)
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 25
            assert ast.get_docstring(node)
    assert TEXTS[script].isascii()
    assert set(re.findall(r"^ *(?:import|from) (\w+)", TEXTS[script], re.M)) <= MODULES


@pytest.mark.skipif(not (shutil.which("git") and (PROJECT / ".git").exists()), reason="not a clone")
def test_checkout_of_windows_has_nothing_else_at_the_top_level_and_the_same_line_ends(tmp_path):
    options = ["--quiet", "--config", "core.autocrlf=true"]
    subprocess.check_call(["git", "clone", *options, str(PROJECT), str(tmp_path)])
    assert {path.name for path in tmp_path.iterdir()} == {*TOP_LEVEL, ".git"}
    files = [path for path in tmp_path.rglob("*") if path.is_file() and ".git" not in path.parts]
    assert [path for path in files if b"\r\n" in path.read_bytes()] == []


def test_requirements_are_the_two_packages():
    text = (PROJECT / "requirements.txt").read_text()
    assert re.findall("^[a-z-]+", text, re.M) == ["azure-storage-queue", "python-dotenv"]


@pytest.mark.parametrize("command", ["ruff check", "ruff format --check", "typos"])
def test_lint_format_and_spelling(clone, command):
    """Of the project's own files: what a participant put beside them is his."""
    program, *arguments = command.split()
    if program == "typos" and platform.machine() == "ARM64":
        pytest.skip("it has no wheel for Windows on ARM")
    path = Path(sys.executable).parent / program  # the virtual environment's
    subprocess.check_call([str(path), *arguments, "."], cwd=clone)
