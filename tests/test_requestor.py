"""The requestor's side: lives no longer than it waits, takes only its own reply, tidies up."""

import json
import uuid

import pytest
from conftest import interrupt, queue_of, queues, wait_until


def asked(storage):
    """Return the request that waits in the queue as (dict, time to live in seconds)."""
    message = wait_until(lambda: list(queue_of(storage, "request-queue").peek_messages()))[0]
    return json.loads(message.content), (message.expires_on - message.inserted_on).total_seconds()


def answer(storage, request, **reply):
    """Put a reply with these fields into the request's reply queue."""
    storage.service.get_queue_client(request["reply_to"]).send_message(json.dumps(reply))


@pytest.fixture
def requestor(start):
    """A requestor that waits for its reply."""
    terminal = start("requestor.py", "some", "thing")
    terminal.expect_exact("Waiting for reply...")
    terminal.expect_exact("\n")
    return terminal


def assert_ends(terminal, storage, code):
    """Assert that the requestor deletes its reply queue and ends with this exit code."""
    terminal.expect_exact("[Requestor] Deleting reply queue.")
    assert terminal.proc.wait(timeout=10) == code
    assert [name for name in queues(storage) if name.startswith("reply-")] == []


def test_request_on_the_wire(requestor, storage):
    request, lifetime = asked(storage)
    assert set(request) == {"payload", "reply_to", "correlation_id"}
    assert request["payload"] == "some thing"
    assert request["reply_to"] == "reply-queue-" + str(uuid.UUID(request["reply_to"][12:]))
    assert request["correlation_id"] == str(uuid.UUID(request["correlation_id"]))
    assert request["reply_to"] in queues(storage)
    assert lifetime == 50


def test_messages_that_are_not_the_reply_get_a_line_and_the_wait_goes_on(requestor, storage):
    request, _ = asked(storage)
    answer(storage, request, result="wrong", correlation_id="xyz")
    answer(storage, request, error="forged", correlation_id=None)
    queue = storage.service.get_queue_client(request["reply_to"])
    for text in ["not JSON", "[1]", "[" * 30000]:
        queue.send_message(text)
    for _ in range(5):
        requestor.expect_exact("[Requestor] Discarding a message that is not the reply")
    answer(storage, request, result="RIGHT", correlation_id=request["correlation_id"])
    requestor.expect_exact("[Requestor] Reply received: RIGHT")
    assert_ends(requestor, storage, 0)


def test_error_reply_is_printed_and_ends_with_exit_code_1(requestor, storage):
    request, _ = asked(storage)
    answer(storage, request, error="no\nluck", correlation_id=request["correlation_id"])
    requestor.expect_exact(r"[Requestor] Error reply received: no\nluck")
    assert_ends(requestor, storage, 1)


def test_no_replier_ends_after_50_s_with_exit_code_1(requestor, storage):
    requestor.expect_exact("[Requestor] Timed out waiting for a reply.", timeout=55)
    assert_ends(requestor, storage, 1)


def test_ctrl_c_deletes_the_reply_queue(requestor, storage):
    rest, code = interrupt(requestor)
    assert rest.splitlines() == ["[Requestor] Deleting reply queue.", "[Requestor] Stopped."]
    assert code == 130
    assert [name for name in queues(storage) if name.startswith("reply-")] == []


def test_request_that_is_too_big_leaves_nothing_behind(run, storage):
    result = run("requestor.py", "x" * 65536)
    assert result.returncode == 1
    assert result.out == ""
    assert "65536" in result.err
    assert len(result.err.splitlines()) == 1
    assert queues(storage) == []
