"""The demo, terminal 0, the test command and their first run, on machines as they are."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pexpect
import psutil
import pytest

from support.emulator import connection_string, free_port
from support.queues import account, depth, send
from support.terminals import interrupt, spawn
from support.tools import run_tool
from support.topology import NAME, PROJECT, TIMEOUT

DEMO, AZURITE, RUN = (PROJECT / "tests" / name for name in ("demo.py", "azurite.py", "run.py"))
# The Python that this virtual environment was made with.
BASE = str(Path(sys.base_prefix, "python.exe" if os.name == "nt" else "bin/python3"))
posix = pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal, or its Ctrl+C")


def test_demo_loses_nothing_behind_a_company_proxy_and_beside_a_netrc(tmp_path):
    (tmp_path / ".netrc").write_text("default login somebody password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    proxies = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]
    changes = dict.fromkeys(proxies, "http://127.0.0.1:9")
    changes.update(NO_PROXY="example.com", no_proxy="example.com", NETRC=None)
    result = run_tool(DEMO, HOME=str(tmp_path), USERPROFILE=str(tmp_path), **changes)
    assert result.returncode == 0, result.err
    table = result.table
    assert (table["sent"], table["lost"], table["request"]) == ("121", "0", "answered")
    assert sum(int(table[end]) for end in ("arrived", "rejected", "poisoned")) == 121
    assert "\033" not in result.out
    assert "\nrequestor       | [Requestor] Reply received: HELLO WORLD\n" in result.out


@posix
def test_demo_in_a_terminal_is_coloured_and_ctrl_c_stops_all_of_it():
    environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    environment["TERM"] = "xterm"
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


@pytest.fixture
def terminal_0(tmp_path):
    """Return terminal_0(port=0): Azurite with its data in tmp_path, in a terminal, once it listens."""
    terminals = []

    def terminal_0(port=0):
        command = [sys.executable, str(AZURITE), str(port), str(tmp_path)]
        terminal = spawn(command, timeout=60)
        terminals.append(terminal)
        terminal.expect(r"Azurite listens on http://127\.0\.0\.1:(\d+)\. Leave this terminal open")
        terminal.port = int(terminal.match.group(1))
        terminal.connection = connection_string(terminal.port)
        return terminal

    yield terminal_0
    for terminal in terminals:
        terminal.proc.terminate()
        terminal.proc.wait(timeout=TIMEOUT)


@posix
def test_terminal_0_keeps_its_data_apart_from_that_of_another_port(terminal_0, run):
    first, second = terminal_0(free_port()), terminal_0(free_port())
    run("pipe_producer.py", **{NAME: first.connection})
    send(account(second.connection), "another-queue", "")
    for terminal in (first, second):  # in this order, the second one would overwrite it all
        rest, code = interrupt(terminal)
        assert (rest.splitlines()[-1], code) == ("Azurite stopped.", 0)
    assert depth(account(terminal_0(first.port).connection), "queue-validate") == 1


@posix
@pytest.mark.parametrize("number", ["SIGHUP", "SIGTERM"])
def test_closing_terminal_0_stops_azurite(terminal_0, number):
    terminal = terminal_0()
    (azurite,) = psutil.Process(terminal.pid).children()
    terminal.kill(getattr(signal, number))
    terminal.expect(pexpect.EOF)
    assert not azurite.is_running()


def test_what_azurite_cannot_start_with_is_said_with_a_way_out(terminal_0, tmp_path):
    in_use, port = terminal_0().port, free_port()
    folder = tmp_path / f"port-{port}"
    folder.mkdir()
    (folder / "__azurite_db_queue__.json").write_text('{"filename": "cut o')
    a_file = tmp_path / "a file"
    a_file.touch()
    for arguments, code, line in [
        (["abc"], 2, "azurite.py: error: argument port: invalid int value: 'abc'"),
        ([port, a_file], 1, f"Name another folder: python tests/azurite.py {port} FOLDER"),
        ([port, tmp_path], 1, f"Delete this folder; its messages go with it: {folder}"),
        ([in_use, tmp_path], 1, "one from elsewhere needs --skipApiVersionCheck."),
    ]:
        result = run_tool(AZURITE, *arguments)
        assert result.returncode == code
        assert (result.out + result.err).rstrip().endswith(line), result.err


def test_run_passes_its_arguments_and_exit_code_on(tmp_path):
    result = run_tool(RUN, "-n", 0, "tests/test_tools.py", "-k", "no_such_test", cwd=tmp_path)
    assert result.returncode == 5, result.out


def test_first_run_says_what_pip_says_and_no_more(clone):
    """In a virtual environment as uv makes them, without pip, and for a user who has PIP_USER set."""
    subprocess.run([BASE, "-m", "venv", "--without-pip", str(clone / "venv")], check=True)
    changes = {"PIP_USER": "1", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}
    changes["PIP_CONFIG_FILE"] = os.devnull
    result = run_tool(clone / "tests" / "demo.py", python=BASE, **changes)
    assert result.returncode == 1
    assert result.out.startswith(f"First run: setting up {clone / 'venv'} (")
    assert "\n  pip ...\n" in result.out
    *_, reason, last = result.err.splitlines()
    assert reason.startswith("ERROR: No matching distribution found for azure-")
    assert last.startswith("Python packages and Node.js: failed, for the reason above.")
