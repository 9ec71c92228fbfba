"""Storage that refuses, is silent, is away, comes back, or loses its queues."""

import socket
import time

import pytest

from suite.helpers.copies import SHORT
from suite.helpers.orders import arrived, give, numbers, order, wait_done
from suite.helpers.proxy import error
from suite.helpers.terminals import printed
from support import emulator
from support.queues import depth, queue_names, send, take, wait_until
from support.topology import ONE_SHOTS, POLLERS, QUEUES, READY, SETTING, TIMEOUT

REFUSED = "Failed to establish a new connection"


@pytest.mark.parametrize("script", ["filter_validate.py", *ONE_SHOTS])
def test_storage_that_refuses_is_said_within_5_s(start, script):
    began = time.monotonic()
    terminal = start(script, **{SETTING: emulator.connection_string(emulator.free_port())})
    terminal.expect_exact("Storage error: ")
    terminal.expect_exact(REFUSED)
    assert time.monotonic() - began < 5
    if script in ONE_SHOTS:
        assert terminal.proc.wait(timeout=TIMEOUT) == 1
        assert "Deleting" not in printed(terminal)  # nothing was created


def test_storage_that_is_silent_is_said_within_15_s(start):
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        began = time.monotonic()
        connection = emulator.connection_string(server.getsockname()[1])
        start("filter_validate.py", **{SETTING: connection}).expect_exact("Read timed out")
        assert time.monotonic() - began < 15


def test_pollers_go_on_by_themselves_when_storage_is_back(start, run, tmp_path):
    process, port = emulator.start_azurite(tmp_path)
    try:
        changes = {SETTING: emulator.connection_string(port)}
        terminals = {script: start(script, **changes) for script in POLLERS}
        for script, terminal in terminals.items():
            terminal.expect_exact(READY[script])
        emulator.stop_azurite(process)
        for terminal in terminals.values():
            terminal.expect_exact(REFUSED, timeout=5)
        process, _ = emulator.start_azurite(tmp_path, port)
        for script, terminal in terminals.items():
            terminal.expect_exact(READY[script], timeout=5)
        run("pipe_producer.py", **changes)
        terminals["final_consumer.py"].expect_exact("ORD-123")
    finally:
        emulator.stop_azurite(process)


def test_requestor_says_first_what_went_wrong_then_deletes_its_queue(run, storage, behind):
    def intercept(call, forward):
        return None if call.startswith("receive") else forward()

    result = run("requestor.py", **behind(intercept))
    assert result.returncode == 1
    reason, deleting = result.out.splitlines()[-2:]
    assert reason.startswith("[Requestor] Storage error: ")
    assert deleting == "[Requestor] Deleting reply queue."
    assert queue_names(storage) == ["request-queue"]


@pytest.mark.parametrize("script", [script for script in POLLERS if script != "filter_enrich.py"])
def test_input_queue_that_vanishes_is_made_again(start, storage, script):
    terminal = start(script)
    terminal.expect_exact(READY[script])
    for name in queue_names(storage):
        storage.service.delete_queue(name)
    terminal.expect_exact("Storage error: The specified queue does not exist.")
    terminal.expect_exact(READY[script])
    give(storage, script, order(1))
    wait_done(storage, script)
    assert arrived(script, storage, [printed(terminal)], 1) == [1]


@pytest.mark.parametrize("script", POLLERS[:2])
def test_output_queue_that_vanishes_is_made_again_at_once(start, altered, storage, script):
    source, target = QUEUES[script]
    terminal = start(script, folder=altered(script, *SHORT))
    terminal.expect_exact(READY[script])
    storage.service.delete_queue(target)
    send(storage, source, *map(order, range(3)))
    wait_until(lambda: depth(storage, target) == 3)
    assert set(numbers(take(storage, target, 3))) == {0, 1, 2}
    assert printed(terminal).count("Storage error: The specified queue does not exist.") == 1
    assert depth(storage, f"{source}-poison") == 0


def test_nothing_is_received_while_azure_is_deleting_a_queue(start, storage, behind):
    calls, ready = [], []

    def intercept(call, forward):
        calls.append(call)
        deleting = call == "create queue-enrich" and not ready
        return error(409, "QueueBeingDeleted") if deleting else forward()

    send(storage, "queue-validate", order(1))
    terminal = start("filter_validate.py", **behind(intercept))
    for _ in range(2):
        terminal.expect_exact("Storage error: ")
    assert "receive queue-validate" not in calls
    ready.append(True)
    terminal.expect_exact(READY["filter_validate.py"])
    assert numbers(take(storage, "queue-enrich")) == [1]
