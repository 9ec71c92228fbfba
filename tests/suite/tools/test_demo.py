"""The demo: what it reads, what it says, and that nothing of it stays, however it ends."""

import os
import sys

import pexpect
import psutil
import pytest

import demo
from suite.helpers.terminals import pseudo_terminal, spawn
from support.topology import PROJECT, TIMEOUT

DEMO = PROJECT / "tests" / "demo.py"


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_it_is_coloured_beside_a_netrc_and_ctrl_c_stops_all_of_it(tmp_path):
    """How it ends if nobody stops it, the handbook's test sees, behind a company proxy."""
    (tmp_path / ".netrc").write_text("default login somebody password secret\n")
    environment = {k: v for k, v in os.environ.items() if k not in ("NETRC", "NO_COLOR")}
    environment.update(HOME=str(tmp_path), TERM="xterm")
    terminal = pseudo_terminal([sys.executable, str(DEMO)], environment)
    terminal.expect_exact("-> Sent to")
    assert "\033[33mfilter_validate" in terminal.before
    children = psutil.Process(terminal.pid).children(recursive=True)
    assert len(children) >= 5  # four pollers and Azurite; the producer may have ended
    terminal.sendintr()
    terminal.expect_exact("Stopped.")
    terminal.expect(pexpect.EOF)
    assert "Traceback" not in terminal.before
    assert psutil.wait_procs(children, timeout=TIMEOUT)[1] == []
    terminal.close()
    assert terminal.exitstatus == 1


def test_all_of_it_goes_also_if_it_is_killed():
    terminal = spawn([sys.executable, str(DEMO)], timeout=4 * TIMEOUT)
    terminal.expect_exact("-> Sent to")
    tool = psutil.Process(terminal.pid)
    family = [tool, *tool.children(recursive=True)]
    assert len(family) >= 6  # it, four pollers and Azurite; the producer may have ended
    terminal.proc.kill()
    terminal.proc.wait()
    assert psutil.wait_procs(family, timeout=TIMEOUT)[1] == []


def test_what_it_says_comes_next_stands_in_the_handbook():
    commands = [line.split(": ")[1].strip() for line in demo.NEXT.splitlines()[-3:]]
    for name in ("README.md", "README.ja.md"):
        lines = (PROJECT / name).read_text(encoding="utf-8").splitlines()
        assert set(commands) <= set(lines), name
