"""The test command, the first run and a checkout, on machines as they are."""

import os
import shutil
import subprocess
import sysconfig
import venv

import pytest

from suite.helpers.runs import run_to_end, run_tool
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


def test_first_run_says_what_pip_says_and_no_more(clone):
    """For a user who has PIP_USER set, which pip refuses in a virtual environment."""
    (clone / "requirements.txt").write_text("no-such-package")
    venv.create(clone / "venv", symlinks=os.name != "nt")  # it takes our pip: its own takes 3 s
    python = clone / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    changes = {"PIP_USER": "1", "PIP_NO_INDEX": "1", "PYTHONPATH": sysconfig.get_path("purelib")}
    result = run_to_end([str(python), str(clone / "tests/demo.py")], {**os.environ, **changes})
    assert result.returncode == 1
    assert result.out.startswith(f"First run: setting up {clone / 'venv'} (")
    *_, reason, last = result.err.splitlines()
    assert reason == "ERROR: No matching distribution found for no-such-package"
    assert last.startswith("Python packages and Node.js: failed, for the reason above.")
