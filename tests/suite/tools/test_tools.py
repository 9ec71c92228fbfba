"""The demo, terminal 0, the test command and their first run, on machines as they are."""

import os
import signal
import sys
import sysconfig
import venv

import pexpect
import psutil
import pytest

from suite.helpers.runs import run_to_end, run_tool
from suite.helpers.terminals import spawn
from support.emulator import connection_string, free_port
from support.queues import depth, open_account, send
from support.topology import PROJECT, TIMEOUT

DEMO, AZURITE, RUN = (PROJECT / "tests" / name for name in ("demo.py", "azurite.py", "run.py"))
posix = pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal, or its Ctrl+C")


@posix
def test_demo_beside_a_netrc_is_coloured_and_ctrl_c_stops_all_of_it(tmp_path):
    """How it ends if nobody stops it, test_readme.py sees, behind a company proxy."""
    (tmp_path / ".netrc").write_text("default login somebody password secret\n")
    environment = {k: v for k, v in os.environ.items() if k not in ("NETRC", "NO_COLOR")}
    environment.update(HOME=str(tmp_path), TERM="xterm")
    terminal = pexpect.spawn(
        sys.executable, [str(DEMO)], env=environment, timeout=TIMEOUT, encoding="utf-8"
    )
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


@posix
def test_closing_terminal_0_stops_azurite_and_keeps_its_data(tmp_path):
    port = free_port()
    storage = open_account(connection_string(port))
    for count, number in enumerate([signal.SIGHUP, signal.SIGTERM], 1):
        terminal = spawn([sys.executable, str(AZURITE), str(port), str(tmp_path)], timeout=60)
        try:
            terminal.expect_exact(f"Azurite listens on http://127.0.0.1:{port}. Leave this")
            (azurite,) = psutil.Process(terminal.pid).children()
            send(storage, "a-queue", "a message")
            assert depth(storage, "a-queue") == count
        finally:
            terminal.kill(number)
        terminal.expect_exact("Azurite stopped.")
        assert terminal.proc.wait(timeout=TIMEOUT) == 0
        assert not azurite.is_running()


def test_what_azurite_cannot_start_with_is_said_with_a_way_out(azurite, tmp_path):
    port = free_port()
    folder = tmp_path / f"port-{port}"  # each port has its own
    folder.mkdir()
    (folder / "__azurite_db_queue__.json").write_text('{"filename": "cut o')
    for arguments, line in [
        ([port, AZURITE], f"Name another folder: python tests/azurite.py {port} FOLDER"),
        ([port, tmp_path], f"Delete this folder; its messages go with it: {folder}"),
        ([azurite, tmp_path], "one from elsewhere needs --skipApiVersionCheck."),
    ]:
        result = run_tool(AZURITE, *arguments)
        assert result.returncode == 1
        assert (result.out + result.err).rstrip().endswith(line), result.err


def test_run_passes_its_arguments_and_exit_code_on(tmp_path):
    result = run_tool(RUN, "-n", 0, "--noconftest", "tests/run.py", cwd=tmp_path)
    assert result.returncode == 5, result.out  # there is no test in this file


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
