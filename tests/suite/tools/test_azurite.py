"""Terminal 0: it keeps what was sent, and nothing of it stays, however it ends; what stops it from starting."""

import os
import signal
import sys

import psutil
import pytest

from suite.helpers.terminals import spawn
from support import emulator
from support.emulator import connection_string, free_port
from support.queues import depth, open_account, send
from support.topology import PROJECT, TIMEOUT

AZURITE = PROJECT / "tests" / "azurite.py"
KILL = "kill"  # SIGKILL; on Windows TerminateProcess
SIGNALS = [KILL] if os.name == "nt" else [KILL, signal.SIGINT, signal.SIGTERM]
if os.name != "nt" and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # not under nohup
    SIGNALS.append(signal.SIGHUP)


def test_however_it_ends_azurite_goes_and_keeps_what_was_sent(tmp_path):
    port = free_port()
    storage = open_account(connection_string(port))
    command = [sys.executable, str(AZURITE), str(port), str(tmp_path)]
    for count, way in enumerate([*SIGNALS, KILL], 1):
        terminal = spawn(command, timeout=2 * TIMEOUT)
        terminal.expect_exact(f"Azurite listens on http://127.0.0.1:{port}. Leave this")
        terminal.expect_exact("It keeps its data in")
        tool = psutil.Process(terminal.pid)
        family = [tool, *tool.children(recursive=True)]
        send(storage, "a-queue", "a message")
        assert depth(storage, "a-queue") == count
        if way == KILL:
            tool.kill()
        else:
            tool.send_signal(way)
            terminal.expect_exact("Azurite stopped.")
            assert terminal.proc.wait(timeout=TIMEOUT) == 0
            assert not family[-1].is_running()
        assert psutil.wait_procs(family, timeout=TIMEOUT)[1] == []


def test_what_azurite_cannot_start_with_is_said_with_a_way_out(run_script, azurite, tmp_path):
    port = free_port()
    folder = tmp_path / f"port-{port}"  # each port has its own
    folder.mkdir()
    (folder / "__azurite_db_queue__.json").write_text('{"filename": "cut o')
    for arguments, line in [
        ([port, AZURITE], f"Name another folder: python tests/azurite.py {port} FOLDER"),
        ([port, tmp_path], f"Delete this folder; its messages go with it: {folder}"),
        ([azurite, tmp_path], "one from elsewhere needs --skipApiVersionCheck."),
    ]:
        result = run_script("tests/azurite.py", *arguments)
        assert result.returncode == 1
        assert (result.out + result.err).rstrip().endswith(line), result.err


def test_broken_tree_is_named_with_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr(emulator, "MAIN", tmp_path / "main.js")
    with pytest.raises(RuntimeError) as error:
        emulator.start_azurite(tmp_path)
    assert f"Delete the folder {sys.prefix}, and run this again." in str(error.value)
