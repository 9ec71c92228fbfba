"""The scripts' shape: what they share is the same to the letter, and they share nothing else."""

import ast
import collections
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.topology import PROJECT, SCRIPTS

OWN = {"handle", "main", "INPUT_QUEUE", "OUTPUT_QUEUE", "POISON_QUEUE"}  # each script has its own
STANDARD = {"datetime", "json", "os", "re", "sys", "time", "traceback", "uuid"}
MAX_LINES = 25  # of a function


def tree(script):
    """Return the script's text and its syntax tree."""
    text = (PROJECT / script).read_text(encoding="utf-8")
    return text, ast.parse(text)


def test_functions_and_constants_of_one_name_are_the_same_to_the_letter():
    versions = collections.defaultdict(list)
    for script in SCRIPTS:
        text, module = tree(script)
        for node in module.body:
            if isinstance(node, ast.FunctionDef):
                versions[node.name].append(ast.get_source_segment(text, node))
            elif isinstance(node, ast.Assign):
                line = text.splitlines()[node.lineno - 1]  # with its comment
                versions[node.targets[0].id].append(line)
    different = {name for name, texts in versions.items() if len(set(texts)) > 1}
    assert different == OWN
    assert {len(versions[name]) for name in ("connect", "main")} == {len(SCRIPTS)}


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_is_short_and_plain(script):
    text, module = tree(script)
    modules = set()
    for node in ast.walk(module):
        assert not isinstance(node, ast.ClassDef)
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < MAX_LINES
            assert ast.get_docstring(node)
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            modules.add(node.module.split(".")[0])
    assert text.isascii()
    assert modules <= STANDARD | {"azure", "dotenv"}


@pytest.mark.skipif(not (shutil.which("git") and (PROJECT / ".git").exists()), reason="not a clone")
def test_nothing_else_at_the_top_level():
    command = ["git", "ls-files"]
    listing = subprocess.check_output(command, cwd=str(PROJECT), universal_newlines=True)
    names = {line.split("/")[0] for line in listing.splitlines()}
    wanted = {*SCRIPTS, "requirements.txt", "README.md", "README.ja.md", "tests"}
    assert {name for name in names if not name.startswith(".")} <= wanted


def test_requirements_are_the_two_packages():
    lines = (PROJECT / "requirements.txt").read_text().splitlines()
    names = [re.match("[a-z-]+", line).group() for line in lines]
    assert names == ["azure-storage-queue", "python-dotenv"]


@pytest.mark.parametrize(
    "command",
    [["ruff", "check", "--no-cache"], ["ruff", "format", "--check", "--no-cache"], ["typos"]],
    ids=" ".join,
)
def test_lint_format_and_spelling(command):
    program = Path(sys.executable).parent / command[0]  # the virtual environment's
    result = subprocess.run(
        [str(program), *command[1:], str(PROJECT)],
        cwd=str(PROJECT),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    assert result.returncode == 0, result.stdout
