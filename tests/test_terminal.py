"""What a person at a terminal meets: Ctrl+C, SIGTERM, output that appears at once, odd code pages."""

import os
import signal

import pytest

from support.orders import order
from support.queues import depth, send, wait_until
from support.terminals import interrupt
from support.topology import NAME, POLLERS, QUEUES, READY, SCRIPTS, TIMEOUT

STOPPED = {
    "pipe_producer.py": "Producer stopped.",
    "filter_validate.py": "[Filter A] Stopped.",
    "filter_enrich.py": "[Filter B] Stopped.",
    "final_consumer.py": "[Final Consumer] Stopped.",
    "replier.py": "[Replier] Stopped.",
}
posix = pytest.mark.skipif(os.name == "nt", reason="a console's Ctrl+C cannot be sent on Windows")


@posix
@pytest.mark.parametrize("script", POLLERS)
def test_ctrl_c_is_one_line_and_exit_code_0(start, storage, script):
    send(storage, QUEUES[script][0], "one message")  # with it, every module has been imported
    terminal = start(script)
    terminal.expect_exact("one message")
    wait_until(lambda: depth(storage, QUEUES[script][0]) == 0)
    rest, code = interrupt(terminal)
    assert rest.splitlines()[-1] == STOPPED[script]
    assert code == 0


@posix
@pytest.mark.parametrize("script", POLLERS)
def test_ctrl_c_while_storage_is_away(start, script):
    connection = "AccountName=x;AccountKey=QUFB;QueueEndpoint=http://127.0.0.1:9/x"
    terminal = start(script, **{NAME: connection})
    terminal.expect_exact("Failed to establish a new connection")
    rest, code = interrupt(terminal)  # in the wait until the next start
    assert (rest.splitlines()[-1], code) == (STOPPED[script], 0)


@posix
def test_ctrl_c_stops_the_producer_that_waits_for_input(start):
    terminal = start("pipe_producer.py", "-")
    terminal.sendline(order(1))  # with it, every module has been imported
    terminal.expect_exact("-> Sent to")
    rest, code = interrupt(terminal)
    assert (rest.splitlines()[-1], code) == (STOPPED["pipe_producer.py"], 130)


@posix
@pytest.mark.parametrize("script", SCRIPTS)
def test_sigterm_ends_a_script_at_once(start, script):
    terminal = start(script, *["-"] * (script == "pipe_producer.py"))
    terminal.expect_exact(READY.get(script, "..."))
    terminal.kill(signal.SIGTERM)
    assert terminal.proc.wait(timeout=TIMEOUT) == -signal.SIGTERM


@posix
def test_message_of_a_script_that_got_sigterm_is_still_there(start, altered, storage):
    slow = ("    if validate(order):\n", "    time.sleep(60)\n    if validate(order):\n")
    folder = altered("filter_validate.py", *slow)
    send(storage, "queue-validate", order(1))
    terminal = start("filter_validate.py", folder=folder)
    terminal.expect_exact("Received: ")
    terminal.kill(signal.SIGTERM)
    terminal.proc.wait(timeout=TIMEOUT)
    assert depth(storage, "queue-validate") == 1


@pytest.mark.parametrize("script", POLLERS)
def test_character_that_a_pipe_in_japan_cannot_show_stops_nothing(start, storage, script):
    send(storage, QUEUES[script][0], '{"amount": 1, "name": "\U0001f375"}')
    start(script, PYTHONIOENCODING="cp932").expect_exact(r'"name": "\U0001f375"')
    wait_until(lambda: depth(storage, QUEUES[script][0]) == 0)
