"""Storage that refuses, is away, comes back, loses its queues, or takes too long."""

import contextlib
import itertools
import socket
import time

import emulator
import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.queue import QueueServiceClient
from conftest import (
    NAME,
    ONE_SHOTS,
    POLLERS,
    SCRIPTS,
    TIMEOUT,
    depth,
    queue_of,
    queues,
    send,
    take,
    via,
    wait_until,
)
from proxy import error, proxy

LINE_LIMIT, GIVE_UP_LIMIT = 5, 10  # seconds
READY = {**dict.fromkeys(POLLERS, "Waiting for"), "requestor.py": "Waiting for reply"}
ORDER = '{"amount": 1}'


def test_api_version_that_azurite_does_not_know_is_refused_in_one_line(run, tmp_path):
    process, port = emulator.start(tmp_path, check_api_version=True)
    try:
        with contextlib.suppress(HttpResponseError):
            QueueServiceClient.from_connection_string(
                emulator.connection_string(port)
            ).get_service_properties()
            pytest.skip("this Azurite knows this SDK's API version")
        for script in SCRIPTS:
            result = run(script, **{NAME: emulator.connection_string(port)})
            assert result.returncode == 1
            assert len(result.err.splitlines()) == 1
            assert "The API version" in result.err
            assert "--skipApiVersionCheck" in result.err
    finally:
        emulator.stop(process)


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("kind", ["key", "account"])
def test_wrong_key_or_account_is_refused_in_one_line(run, storage, script, kind):
    wrong = {"key": (storage.key, "QUFB"), "account": ("AccountName=", "AccountName=un")}[kind]
    connection = storage.connection.replace(*wrong)
    if kind == "account":
        connection = connection.replace("/account", "/unaccount")
    result = run(script, **{NAME: connection})
    assert result.returncode == 1
    assert result.out == ""
    assert len(result.err.splitlines()) == 1
    assert "refuses (" in result.err
    assert ".env" in result.err


@contextlib.contextmanager
def silent_server():
    """Yield the port of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield server.getsockname()[1]


@contextlib.contextmanager
def closed_port():
    """Yield a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    yield port


@pytest.mark.parametrize("fault", [closed_port, silent_server])
@pytest.mark.parametrize("script", ONE_SHOTS)
def test_one_shot_gives_up_when_storage_cannot_be_reached(run, script, fault):
    with fault() as port:
        began = time.monotonic()
        result = run(script, **{NAME: emulator.connection_string(port)})
        assert time.monotonic() - began < GIVE_UP_LIMIT
    assert result.returncode == 1
    assert len(result.err.splitlines()) == 1
    assert f"127.0.0.1:{port}/devstoreaccount1 cannot be reached. Is Azurite" in result.err


@pytest.mark.parametrize("script", SCRIPTS)
def test_line_within_5_s_when_nothing_listens(start, script):
    with closed_port() as port:
        began = time.monotonic()
        terminal = start(script, **{NAME: emulator.connection_string(port)})
        terminal.expect_exact(f"127.0.0.1:{port}/devstoreaccount1 cannot be reached. Is Azurite")
        assert time.monotonic() - began < LINE_LIMIT


@pytest.mark.parametrize("script", SCRIPTS)
def test_line_within_5_s_of_the_first_call_when_nothing_answers(start, script):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(TIMEOUT)
        port = server.getsockname()[1]
        terminal = start(script, **{NAME: emulator.connection_string(port)})
        with server.accept()[0]:  # not from the start: a busy machine may take seconds for that
            began = time.monotonic()
            terminal.expect_exact(f"127.0.0.1:{port}/devstoreaccount1 cannot be reached. Is")
            assert time.monotonic() - began < LINE_LIMIT


@pytest.mark.parametrize("script", POLLERS)
def test_poller_waits_quietly_for_azurite_and_says_when_it_is_there(start, tmp_path, script):
    with closed_port() as port:
        terminal = start(script, **{NAME: emulator.connection_string(port)})
    terminal.expect_exact("cannot be reached. Is Azurite running?")
    process, _ = emulator.start(tmp_path, port)
    try:
        terminal.expect_exact("Waiting for")
        assert terminal.log.text.count("cannot be reached") == 1
    finally:
        emulator.stop(process)


@pytest.mark.parametrize("script", SCRIPTS[1:])
def test_azurite_stops_under_a_running_script(start, tmp_path, script):
    process, port = emulator.start(tmp_path)
    try:
        terminal = start(script, **{NAME: emulator.connection_string(port)})
        terminal.expect_exact(READY[script])
        emulator.stop(process)
        began = time.monotonic()
        terminal.expect_exact("cannot be reached. Is Azurite running?")
        assert time.monotonic() - began < LINE_LIMIT
        if script in ONE_SHOTS:
            assert terminal.proc.wait(timeout=GIVE_UP_LIMIT) == 1
        else:
            process, _ = emulator.start(tmp_path, port)
            terminal.expect_exact("Waiting for")
    finally:
        emulator.stop(process)


def test_messages_that_wait_survive_a_restart_and_go_on(start, tmp_path):
    process, port = emulator.start(tmp_path)
    try:
        connection = {NAME: emulator.connection_string(port)}
        producer = start("pipe_producer.py", **connection)
        producer.expect_exact("Producer finished.")
        emulator.stop(process)
        terminals = [start(script, **connection) for script in POLLERS[:3]]
        for terminal in terminals:
            terminal.expect_exact("cannot be reached")
        process, _ = emulator.start(tmp_path, port)
        terminals[2].expect_exact("Fully processed message received")
    finally:
        emulator.stop(process)


@pytest.mark.parametrize("script", POLLERS[:2])
def test_queues_that_vanish_are_made_again(start, storage, script):
    source, target = {"filter_validate.py": ("queue-validate", "queue-enrich")}.get(
        script, ("queue-enrich", "queue-finalize")
    )
    terminal = start(script)
    terminal.expect_exact("Waiting for")
    for name in (source, target):
        storage.service.delete_queue(name)
    terminal.expect_exact("A queue is gone. The next try creates it.")
    terminal.expect_exact("Waiting for")
    send(storage, source, ORDER)
    assert len(take(storage, target)) == 1


def test_order_waits_while_the_next_queue_vanishes(start, storage):
    terminal = start("filter_validate.py")
    terminal.expect_exact("Waiting for")
    storage.service.delete_queue("queue-enrich")
    send(storage, "queue-validate", ORDER)
    terminal.expect_exact("A queue is gone. The next try creates it.")
    assert depth(storage, "queue-validate") == 1


@pytest.mark.parametrize("script", ["final_consumer.py", "replier.py"])
def test_input_queue_that_vanishes_is_made_again(start, storage, script):
    terminal = start(script)
    terminal.expect_exact("Waiting for")
    (name,) = queues(storage)
    storage.service.delete_queue(name)
    terminal.expect_exact("A queue is gone. The next try creates it.")
    terminal.expect_exact("Waiting for")
    assert queues(storage) == [name]


def test_requestor_asks_again_when_its_queues_vanish(start, storage):
    requestor = start("requestor.py")
    requestor.expect_exact("Waiting for reply...")
    for name in queues(storage):
        storage.service.delete_queue(name)
    requestor.expect_exact("Waiting for reply...")
    start("replier.py")
    requestor.expect_exact("Reply received: HELLO WORLD")


@pytest.mark.parametrize("answer", [(404, "QueueNotFound"), (409, "QueueBeingDeleted")])
@pytest.mark.parametrize("path_part", ["/request-queue/messages", "/reply-queue-"])
def test_requestor_asks_again_when_a_queue_vanishes_under_a_call(
    start, storage, azurite, answer, path_part
):
    gone = []

    def intercept(method, path, forward):
        if path_part in path and "/messages" in path and not gone:
            gone.append(path)
            return error(*answer)
        return forward()

    with proxy(azurite, intercept) as port:
        requestor = start("requestor.py", **{NAME: via(port, storage)})
        requestor.expect_exact("Waiting for reply...")
        start("replier.py")
        requestor.expect_exact("Reply received: HELLO WORLD")
    assert gone


def test_producer_goes_on_when_its_queue_vanishes(variables, storage, start):
    producer = start("pipe_producer.py", "-")
    producer.sendline(ORDER)
    producer.expect_exact("-> Sent to")
    storage.service.delete_queue("queue-validate")
    producer.sendline(ORDER)
    producer.expect_exact("-> Sent to")
    assert take(storage, "queue-validate") == [ORDER]


@pytest.mark.parametrize("script", SCRIPTS)
def test_queue_that_is_still_being_deleted_is_waited_for(start, storage, azurite, script):
    calls = itertools.count()

    def intercept(method, path, forward):
        if "reply-queue" not in path and next(calls) < 4:
            return error(409, "QueueBeingDeleted")
        return forward()

    with proxy(azurite, intercept) as port:
        connection = via(port, storage)
        terminal = start(script, **{NAME: connection})
        terminal.expect("A queue is gone|still being deleted")
        terminal.expect_exact(READY.get(script, "Producer finished."))
        assert terminal.log.text.count("Waiting for") <= 1


@pytest.mark.parametrize("script", POLLERS[:2])
def test_lost_lease_gets_a_line_and_work_goes_on(start, storage, azurite, script):
    source, target = {"filter_validate.py": ("queue-validate", "queue-enrich")}.get(
        script, ("queue-enrich", "queue-finalize")
    )
    queue = queue_of(storage, source)
    queue.send_message(ORDER)
    stolen = []

    def intercept(method, path, forward):
        if method == "DELETE" and not stolen:  # somebody else is faster
            stolen.append(path)
            queue.clear_messages()
        return forward()

    with proxy(azurite, intercept) as port:
        connection = via(port, storage)
        terminal = start(script, **{NAME: connection})
        terminal.expect_exact(
            "Visibility timeout exceeded, or the message is gone. It may be processed twice."
        )
        send(storage, source, ORDER)
        assert len(take(storage, target, 2)) == 2
        wait_until(lambda: depth(storage, source) == 0)
