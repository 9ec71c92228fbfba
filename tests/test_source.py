"""The scripts' shape: what they share is the same to the letter, and they share nothing else."""

import ast
import collections
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import POLLERS, PROJECT, SCRIPTS

ALLOWED = {"azure", "dotenv"}
OWN = {"handle", "main"}  # functions that differ from script to script
STANDARD = {
    "contextlib",
    "datetime",
    "json",
    "logging",
    "os",
    "re",
    "signal",
    "sys",
    "time",
    "uuid",
}


def source(script):
    """Return the script's text."""
    return (PROJECT / script).read_text(encoding="utf-8")


def functions(script):
    """Return the script's functions: name to text."""
    text = source(script)
    nodes = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    return {node.name: ast.get_source_segment(text, node) for node in nodes}


def test_functions_of_one_name_are_the_same_to_the_letter():
    versions = collections.defaultdict(set)
    for script in SCRIPTS:
        for name, text in functions(script).items():
            versions[name].add(text)
    different = {name for name, texts in versions.items() if len(texts) > 1}
    assert different <= OWN
    assert {"explain", "create", "parse"} <= set(versions) - different


def common_part(pattern, scripts):
    """Return the different texts that match the pattern in these scripts; it must match in each."""
    return {re.search(pattern, source(script), re.DOTALL).group() for script in scripts}


@pytest.mark.parametrize(
    "pattern, scripts",
    [
        (r"    try:\n        load_dotenv.*?\.env\.example to \.env\.\"\)\n", SCRIPTS),
        (r"    wait, told = MIN_WAIT, None\n    while True:\n        try:\n", POLLERS),
        (r"            told = None\n            while True:\n", POLLERS),
        (
            r"                    wait = MIN_WAIT\n.*?except \(AzureError, [^\n]*\n"
            r"            before, told = [^\n]*\n            if told != before:\n",
            POLLERS,
        ),
        (r"            time.sleep\(MAX_WAIT\)\n", POLLERS),
        (r"BATCH = .*?\nCALL = [^\n]*\n", POLLERS),
        (r"RETRY = .*?\nCALL = [^\n]*\n", ["pipe_producer.py", "requestor.py"]),
        (r"except ImportError as error:\n[^\n]*\nexcept KeyboardInterrupt:\n", SCRIPTS),
        (r"if __name__ == .*?except KeyboardInterrupt:\n", SCRIPTS),
        (r"    except OSError as error:  # nobody[^\n]*\n", [*POLLERS, "requestor.py"]),
        (
            r'"".join\(c if c.isprintable\(\) or c == "\\u3000" else repr\(c\)\[1:-1\] for c in ',
            SCRIPTS,
        ),
    ],
)
def test_common_parts_are_the_same_to_the_letter(pattern, scripts):
    assert len(common_part(pattern, scripts)) == 1


@pytest.mark.parametrize("script", SCRIPTS)
def test_imports(script):
    modules = set()
    for node in ast.walk(ast.parse(source(script))):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module.split(".")[0])
    assert modules <= STANDARD | ALLOWED


@pytest.mark.parametrize("script", SCRIPTS)
def test_shape(script):
    text = source(script)
    assert text.isascii()
    assert 60 <= len(text.splitlines()) <= 130
    assert max(map(len, text.splitlines())) <= 100
    assert not [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)]
    assert ast.get_docstring(ast.parse(text))


@pytest.mark.skipif(not (shutil.which("git") and (PROJECT / ".git").exists()), reason="not a clone")
def test_nothing_else_at_the_top_level():
    listing = subprocess.run(
        ["git", "ls-files"],
        cwd=str(PROJECT),
        stdout=subprocess.PIPE,
        universal_newlines=True,
        check=True,
    )
    names = {line.split("/")[0] for line in listing.stdout.splitlines()}
    assert {name for name in names if not name.startswith(".")} <= {
        *SCRIPTS,
        "requirements.txt",
        "README.md",
        "README.ja.md",
        "tests",
    }


def test_requirements_are_the_two_packages():
    lines = (PROJECT / "requirements.txt").read_text().splitlines()
    assert [re.match("[a-z-]+", line).group() for line in lines] == [
        "azure-storage-queue",
        "python-dotenv",
    ]


@pytest.mark.parametrize(
    "command", [["ruff", "check"], ["ruff", "format", "--check"], ["typos"]], ids=" ".join
)
def test_lint_format_and_spelling(command, tmp_path):
    folder = Path(sys.executable).parent  # the virtual environment's
    result = subprocess.run(
        [str(folder / command[0]), *command[1:], str(PROJECT)],
        cwd=str(PROJECT),
        env=dict(os.environ, RUFF_CACHE_DIR=str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    assert result.returncode == 0, result.stdout
