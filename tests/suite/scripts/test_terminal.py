"""What a person at a terminal meets: Ctrl+C, shells of other kinds, odd code pages."""

import os

import pytest

from suite.helpers.orders import order, wait_done
from suite.helpers.terminals import interrupt
from support.emulator import connection_string, free_port
from support.queues import send
from support.topology import ONE_SHOTS, PROJECT, READY, SETTING, TIMEOUT

SHELL = """\
import runpy, sys
sys.argv.pop(0)
sys.stdout = type("Shell", (), {"write": sys.stdout.write, "flush": sys.stdout.flush})()
runpy.run_path(sys.argv[0], run_name="__main__")
"""
posix = pytest.mark.skipif(os.name == "nt", reason="a console's Ctrl+C cannot be sent on Windows")


@posix
def test_ctrl_c_is_one_line_and_exit_code_0(start_script, storage):
    send(storage, "queue-validate", "one message")  # with it, every module has been imported
    terminal = start_script("filter_validate.py")
    terminal.expect_exact("one message")
    wait_done(storage, "filter_validate.py")
    rest, code = interrupt(terminal)
    assert (rest.splitlines()[-1], code) == ("[Filter A] Stopped.", 0)


@posix
def test_ctrl_c_while_storage_is_away(start_script):
    terminal = start_script("filter_validate.py", **{SETTING: connection_string(free_port())})
    terminal.expect_exact("Failed to establish a new connection")
    rest, code = interrupt(terminal)  # in the wait until the next start
    assert (rest.splitlines()[-1], code) == ("[Filter A] Stopped.", 0)


@posix
def test_ctrl_c_stops_the_producer_that_waits_for_input(start_script):
    terminal = start_script("pipe_producer.py", "-")
    terminal.sendline(order(1))  # with it, every module has been imported
    terminal.expect_exact("-> Sent to")
    rest, code = interrupt(terminal)
    assert (rest.splitlines()[-1], code) == ("Producer stopped.", 130)


@pytest.mark.parametrize("script", ["filter_validate.py", *ONE_SHOTS])
def test_output_that_cannot_be_reconfigured(start_script, tmp_path, script):
    """As in IDLE and Jupyter."""
    (tmp_path / "shell.py").write_text(SHELL)
    terminal = start_script("shell.py", PROJECT / script, folder=tmp_path, PYTHONUNBUFFERED="1")
    terminal.expect_exact(READY.get(script, "..."))


@pytest.mark.parametrize("script", ["final_consumer.py", "pipe_producer.py", "requestor.py"])
def test_what_a_cp932_pipe_cannot_show_stops_nothing(start_script, storage, tmp_path, script):
    (tmp_path / "tea.jsonl").write_text("\U0001f375", encoding="utf-8")
    send(storage, "queue-finalize", "\U0001f375")
    start_script("replier.py")
    what = {"pipe_producer.py": [tmp_path / "tea.jsonl"], "requestor.py": ["\U0001f375"]}
    terminal = start_script(script, *what.get(script, []), PYTHONIOENCODING="cp932")
    terminal.expect(r"(received|Sent to 'queue-validate'): \\U0001f375")
    if script == "final_consumer.py":
        wait_done(storage, script)
    else:
        assert terminal.proc.wait(timeout=TIMEOUT) == 0
