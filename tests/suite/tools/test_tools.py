"""The test command, and a checkout."""

import shutil
import subprocess

import pytest

from suite.helpers.runs import run_tool
from support.topology import PROJECT

RUN = PROJECT / "tests" / "run.py"


def test_run_passes_its_arguments_and_exit_code_on(tmp_path):
    result = run_tool(RUN, "-n", 0, "--noconftest", "tests/run.py", cwd=tmp_path)
    assert result.returncode == 5, result.out  # there is no test in this file


@pytest.mark.skipif(not (shutil.which("git") and (PROJECT / ".git").exists()), reason="not a clone")
def test_checkout_of_windows_has_the_same_line_ends(tmp_path):
    options = ["--quiet", "--config", "core.autocrlf=true"]
    subprocess.check_call(["git", "clone", *options, str(PROJECT), str(tmp_path / "clone")])
    files = [path for path in tmp_path.rglob("*") if path.is_file() and ".git" not in path.parts]
    assert len(files) > 40
    assert [path for path in files if b"\r\n" in path.read_bytes()] == []
