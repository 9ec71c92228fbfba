"""Request/Reply on the wire: what the replier answers, and what the requestor takes and tidies up."""

import datetime
import json
import time
import uuid

import pytest

from suite.helpers.orders import REPLY_QUEUE, first_message, give, numbers, order, wait_depth
from suite.helpers.proxy import Recorder, error
from suite.helpers.terminals import interrupt, kill_and_read
from support.queues import depth, ensure_queue, queue_names, send, take
from support.topology import TIMEOUT


def test_request_for_a_foreign_queue_is_poison(start_script, storage):
    ensure_queue(storage, "queue-validate")
    names = ["queue-validate", None, "reply-queue-" + "0" * 18 + "/../queue-validate"]
    requests = [order(1, reply_to=name) for name in [*names, f"{REPLY_QUEUE}0"]]
    send(storage, "request-queue", *requests)
    terminal = start_script("replier.py")
    for _ in requests:
        terminal.expect_exact("'request-queue-poison': reply_to is not a reply queue.")
    assert take(storage, "request-queue-poison", len(requests)) == requests
    assert depth(storage, "queue-validate") == 0


def test_request_of_a_requestor_that_is_gone_does_not_hold_up_the_others(start_script, storage):
    """With the visibility timeout as it is: who waits for it fails."""
    gone = f"reply-queue-{uuid.uuid4()}"
    give(storage, "replier.py", order(1, reply_to=gone), order(2))
    terminal = start_script("replier.py")
    terminal.expect_exact("[Replier] Storage error: The specified queue does not exist.")
    assert numbers(take(storage, REPLY_QUEUE)) == [2]
    assert gone not in queue_names(storage)
    wait_depth(storage, "request-queue", 1)
    assert kill_and_read(terminal).count("Sent reply") == 1


@pytest.fixture
def requestor(start_script):
    """A requestor that waits for its reply."""
    terminal = start_script("requestor.py", "some", "thing")
    terminal.expect_exact("Waiting for reply...")
    return terminal


def reply(storage, *strangers, **fields):
    """Answer the request that waits in the queue, after these messages of strangers."""
    message = first_message(storage, "request-queue")
    assert message.expires_on - message.inserted_on == datetime.timedelta(seconds=50)
    request = json.loads(message.content)
    text = json.dumps({**fields, "correlation_id": request["correlation_id"]})
    send(storage, request["reply_to"], *strangers, text)


def assert_ends(requestor, storage, line, code):
    """Assert that the requestor prints this line, deletes its reply queue, and ends with the code."""
    requestor.expect_exact(f"[Requestor] {line}", timeout=50 + TIMEOUT)
    requestor.expect_exact("[Requestor] Deleting reply queue.")
    assert requestor.proc.wait(timeout=TIMEOUT) == code
    assert queue_names(storage) == ["request-queue"]


def test_strangers_messages_change_nothing(requestor, storage):
    wrong = {"result": "wrong", "correlation_id": "xyz"}
    reply(storage, "not JSON", json.dumps(wrong), '{"error": "forged"}', "[1]", result="RIGHT")
    assert_ends(requestor, storage, "Reply received: RIGHT", 0)


def test_error_reply_is_printed_and_ends_with_exit_code_1(requestor, storage):
    reply(storage, error="no luck")
    assert_ends(requestor, storage, "Error reply received: no luck", 1)


@pytest.mark.slow
def test_no_replier_ends_after_50_s_with_exit_code_1(requestor, storage):
    began = time.monotonic()
    assert_ends(requestor, storage, "Timed out waiting for a reply.", 1)
    assert time.monotonic() - began > 40  # the line that it waits may have been read late


def test_ctrl_c_deletes_the_reply_queue(requestor, storage):
    rest, code = interrupt(requestor)
    assert rest.endswith("[Requestor] Deleting reply queue.\n[Requestor] Stopped.\n")
    assert code == 130
    assert queue_names(storage) == ["request-queue"]


def test_error_of_storage_is_said_and_deletes_the_reply_queue(run_script, storage, via_proxy):
    refused = Recorder("receive", lambda forward: error(503, "ServerBusy"), times=2)
    result = run_script("requestor.py", **via_proxy(refused))
    reason, deleting = result.out.splitlines()[-2:]
    assert reason.startswith("[Requestor] Storage error: ")
    assert deleting == "[Requestor] Deleting reply queue."
    assert (result.returncode, queue_names(storage)) == (1, ["request-queue"])
