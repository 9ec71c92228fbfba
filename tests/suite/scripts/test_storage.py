"""Storage that refuses, is silent, or loses its queues.

That it comes back, and nothing is gone: test_polling.py, exercise 2-4 of the handbook, the campaign.
"""

import os
import socket
import time

import pytest

from suite.helpers.copies import SHORT
from suite.helpers.orders import arrived, give, numbers, order, wait_depth
from suite.helpers.proxy import Recorder, error
from suite.helpers.terminals import kill_and_read
from support.emulator import connection_string, free_port
from support.queues import depth, queue_names, send, take, wait_until
from support.topology import ONE_SHOTS, POLLERS, QUEUES, READY, SETTING, TIMEOUT

REFUSED = "Failed to establish a new connection"
REFUSAL = 12 if os.name == "nt" else 5  # seconds; on Windows, a refused call takes 2 s each time
GONE = "Storage error: The specified queue does not exist."


@pytest.fixture
def say_trouble(start_script, edited):
    """Return say_trouble(script, port): its terminal, and the seconds until it said so, all being loaded."""

    def say_trouble(script, port):
        begin = "    try:\n        load_dotenv()"
        folder = edited(script, begin, f'    print("begun")\n{begin}')
        terminal = start_script(script, folder=folder, **{SETTING: connection_string(port)})
        terminal.expect_exact("begun")
        began = time.monotonic()
        terminal.expect_exact("Storage error: ")
        return terminal, time.monotonic() - began

    return say_trouble


@pytest.mark.parametrize("script", ["filter_validate.py", *ONE_SHOTS])
def test_storage_that_refuses_is_said_within_5_s(say_trouble, script):
    """The best of three: a loaded machine may need longer."""
    for _ in range(3):
        terminal, seconds = say_trouble(script, free_port())
        terminal.expect_exact(REFUSED)
        if seconds < REFUSAL:
            break
    assert seconds < REFUSAL
    if script in ONE_SHOTS:
        assert terminal.proc.wait(timeout=TIMEOUT) == 1
        assert "Deleting" not in kill_and_read(terminal)  # nothing was created


@pytest.mark.parametrize("backlog", [0, 50], ids=["no connection", "no answer"])
def test_storage_that_is_silent_is_said_within_15_s(say_trouble, backlog):
    address = ("127.0.0.1", 0)
    with socket.create_server(address, backlog=backlog) as server, socket.socket() as first:
        if backlog == 0:  # on Linux, who comes second gets no answer at all, as behind a firewall
            first.connect(server.getsockname())
        terminal, seconds = say_trouble("filter_validate.py", server.getsockname()[1])
        assert seconds < 15
        assert backlog == 0 or not terminal.expect("Read timed out")


@pytest.mark.parametrize("script", POLLERS)
def test_queues_that_vanish_are_made_again_at_once(start_script, storage, via_proxy, script):
    """The message in work is gone with its queue."""
    names = []

    def vanish(forward):
        names.extend(name for name in queue_names(storage) if not name.startswith("reply-"))
        for name in queue_names(storage):
            storage.service.delete_queue(name)
        return forward()

    give(storage, script, order(1))
    call = "delete" if script == "final_consumer.py" else "send"
    terminal = start_script(script, **via_proxy(Recorder(call, vanish)))
    terminal.expect_exact(GONE)
    wait_until(lambda: set(names) <= set(queue_names(storage)), what="the queues are there again")
    give(storage, script, order(2))
    wait_depth(storage, QUEUES[script][0], 0)
    text = kill_and_read(terminal)
    assert text.count(GONE) == text.count(READY[script]) == 1
    assert 2 in arrived(script, storage, [text], 1)


def test_output_queue_that_vanishes_alone_poisons_no_order(start_script, edited, storage):
    terminal = start_script("filter_validate.py", folder=edited("filter_validate.py", *SHORT))
    terminal.expect_exact(READY["filter_validate.py"])
    storage.service.delete_queue("queue-enrich")
    send(storage, "queue-validate", *map(order, range(3)))
    wait_depth(storage, "queue-enrich", 3)
    assert set(numbers(take(storage, "queue-enrich", 3))) == {0, 1, 2}
    assert kill_and_read(terminal).count(GONE) == 1
    assert depth(storage, "queue-validate-poison") == 0


def test_nothing_is_received_while_azure_is_deleting_a_queue(start_script, storage, via_proxy):
    being_deleted = error(409, "QueueBeingDeleted")
    recorder = Recorder("create queue-enrich", lambda forward: being_deleted, times=99)
    send(storage, "queue-validate", order(1))
    terminal = start_script("filter_validate.py", **via_proxy(recorder))
    for _ in range(2):
        terminal.expect_exact("Storage error: ")
    assert "receive queue-validate" not in recorder.calls
    recorder.fault = None
    terminal.expect_exact(READY["filter_validate.py"])
    assert numbers(take(storage, "queue-enrich")) == [1]
