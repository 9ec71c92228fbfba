"""Storage that refuses, is silent, is away, comes back, or loses its queues."""

import contextlib
import socket
import time

import pytest
from azure.core.exceptions import HttpResponseError

from support import emulator
from support.orders import OUTPUTS, arrived, numbers, order
from support.proxy import error, proxy
from support.queues import account, depth, queue_of, queues, send, take, via, wait_until
from support.terminals import printed
from support.topology import NAME, ONE_SHOTS, POLLERS, QUEUES, READY, TIMEOUT

REFUSED = "Failed to establish a new connection"
SILENT = "Read timed out"


@contextlib.contextmanager
def closed_port():
    """Yield a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    yield port


@contextlib.contextmanager
def silent_port():
    """Yield the port of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    "port_of, words, limit", [(closed_port, REFUSED, 5), (silent_port, SILENT, 15)]
)
@pytest.mark.parametrize("script", ["filter_validate.py", *ONE_SHOTS])
def test_storage_that_is_away_is_said_in_time(start, script, port_of, words, limit):
    with port_of() as port:
        began = time.monotonic()
        terminal = start(script, **{NAME: emulator.connection_string(port)})
        terminal.expect_exact("Storage error: ")
        terminal.expect_exact(words)
        assert time.monotonic() - began < limit
        if script in ONE_SHOTS:
            assert terminal.proc.wait(timeout=TIMEOUT) == 1
            assert "Deleting" not in terminal.log.getvalue()  # nothing was created


@pytest.mark.parametrize("script", ["filter_validate.py", "replier.py", "requestor.py"])
def test_azurite_stops_and_starts_under_a_running_script(start, tmp_path, script):
    process, port = emulator.start(tmp_path)
    try:
        terminal = start(script, **{NAME: emulator.connection_string(port)})
        terminal.expect_exact(READY.get(script, "Waiting for reply..."))
        emulator.stop(process)
        began = time.monotonic()
        terminal.expect_exact(REFUSED)
        assert time.monotonic() - began < 5
        if script in ONE_SHOTS:
            terminal.expect_exact("Deleting reply queue.")  # after what went wrong
            assert terminal.proc.wait(timeout=TIMEOUT) == 1
            return
        process, _ = emulator.start(tmp_path, port)
        began = time.monotonic()
        terminal.expect_exact(READY[script])
        assert time.monotonic() - began < 5
    finally:
        emulator.stop(process)


def test_orders_that_wait_survive_an_outage(start, tmp_path):
    process, port = emulator.start(tmp_path)
    try:
        storage = account(emulator.connection_string(port))
        send(storage, "queue-validate", *map(order, range(5)))
        emulator.stop(process)
        terminals = [start(script, **{NAME: storage.connection}) for script in POLLERS[:3]]
        for terminal in terminals:
            terminal.expect_exact(REFUSED)
        process, _ = emulator.start(tmp_path, port)
        for number in range(5):
            terminals[2].expect_exact(f'"order_id": "ORD-{number}"')
    finally:
        emulator.stop(process)


@pytest.mark.parametrize("script", [script for script in POLLERS if script != "filter_enrich.py"])
def test_input_queue_that_vanishes_is_made_again(start, storage, script):
    terminal = start(script)
    terminal.expect_exact(READY[script])
    for name in queues(storage):
        storage.service.delete_queue(name)
    terminal.expect_exact("Storage error: The specified queue does not exist.")
    terminal.expect_exact(READY[script])
    if OUTPUTS[script]:
        queue_of(storage, OUTPUTS[script])
    send(storage, QUEUES[script][0], order(1))
    wait_until(lambda: depth(storage, QUEUES[script][0]) == 0)
    assert arrived(script, storage, [printed(terminal)], 1) == [1]


@pytest.mark.parametrize("script", POLLERS[:2])
def test_output_queue_that_vanishes_is_made_again_at_once(start, altered, storage, script):
    source, target = QUEUES[script]
    folder = altered(script, "VISIBILITY_TIMEOUT = 30", "VISIBILITY_TIMEOUT = 2")
    terminal = start(script, folder=folder)
    terminal.expect_exact(READY[script])
    storage.service.delete_queue(target)
    send(storage, source, *map(order, range(3)))
    terminal.expect_exact("Storage error: The specified queue does not exist.")
    wait_until(lambda: depth(storage, target) == 3)
    assert set(numbers(take(storage, target, 3))) == {0, 1, 2}
    assert printed(terminal).count("The specified queue does not exist.") == 1
    assert depth(storage, f"{source}-poison") == 0


@pytest.mark.parametrize("name", ["queue-validate", "queue-enrich"])
def test_nothing_is_received_while_azure_is_deleting_a_queue(start, storage, azurite, name):
    calls, ready = [], []

    def intercept(method, path, forward):
        calls.append((method, path))
        deleting = path.split("?")[0].endswith(f"/{name}") and not ready
        return error(409, "QueueBeingDeleted") if deleting else forward()

    send(storage, "queue-validate", order(1))
    with proxy(azurite, intercept) as port:
        terminal = start("filter_validate.py", **{NAME: via(port, storage)})
        for _ in range(2):
            terminal.expect_exact("Storage error: ")
        assert "GET" not in [method for method, _ in calls]
        ready.append(True)
        terminal.expect_exact(READY["filter_validate.py"])
        assert numbers(take(storage, "queue-enrich")) == [1]


def test_api_version_that_azurite_does_not_know_is_said(start, run, tmp_path):
    process, port = emulator.start(tmp_path, check_api_version=True)
    try:
        connection = emulator.connection_string(port)
        with contextlib.suppress(HttpResponseError):
            account(connection).service.get_service_properties()
            pytest.skip("this Azurite knows this SDK's API version")
        result = run("pipe_producer.py", **{NAME: connection})
        assert result.returncode == 1
        assert len(result.err.splitlines()) == 1
        assert "The API version" in result.err
        assert "--skipApiVersionCheck" in result.err
        start("filter_validate.py", **{NAME: connection}).expect_exact("--skipApiVersionCheck")
    finally:
        emulator.stop(process)
