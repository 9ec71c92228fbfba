"""Request/Reply on the wire: what the replier answers, and what the requestor takes and tidies up."""

import json
import uuid

import pytest

from support.orders import REPLY_QUEUE, order
from support.queues import depth, queue_of, queues, send, take, wait_until
from support.terminals import interrupt, printed


def ask(storage, **fields):
    """Send a request for REPLY_QUEUE, which is made if need be; return the reply as a dict."""
    queue_of(storage, REPLY_QUEUE)
    send(storage, "request-queue", json.dumps({**json.loads(order(1)), **fields}))
    return json.loads(take(storage, REPLY_QUEUE)[0])


@pytest.mark.parametrize(
    "payload, result", [("Gr\u00fc\u00dfe \u5c71", "GR\u00dcSSE \u5c71"), (123, "123"), ("", "")]
)
def test_reply_holds_the_result_and_the_correlation_id(start, storage, payload, result):
    start("replier.py")
    reply = ask(storage, payload=payload, correlation_id="xyz")
    assert reply == {"result": result, "correlation_id": "xyz"}
    wait_until(lambda: depth(storage, "request-queue") == 0)


@pytest.mark.parametrize(
    "work, error",
    [
        ("payload.upper()", "AttributeError("),
        ("{payload}", "TypeError("),
        ("'x' * 65536", "does not fit"),
        (r"'\ud800'", "UnicodeEncodeError("),
    ],
)
def test_work_that_fails_is_answered_with_an_error(start, altered, storage, work, error):
    folder = altered("replier.py", "return str(payload).upper()", f"return {work}")
    terminal = start("replier.py", folder=folder, traceback=True)
    reply = ask(storage, payload=1)
    assert error in reply["error"]
    assert reply["correlation_id"] == 1
    wait_until(lambda: depth(storage, "request-queue") == 0)
    assert "Traceback" in printed(terminal)


def test_request_without_payload_is_answered_with_an_error(start, storage):
    queue_of(storage, REPLY_QUEUE)
    start("replier.py", traceback=True)
    send(storage, "request-queue", json.dumps({"reply_to": REPLY_QUEUE}))
    assert json.loads(take(storage, REPLY_QUEUE)[0])["error"] == "KeyError('payload')"


def test_japanese_reply_stays_readable(start, run):
    replier = start("replier.py")
    result = run("requestor.py", "\u5c71\u7530")
    assert result.out.count("Reply received: \u5c71\u7530\n") == 1
    text = printed(replier)
    assert text.count('"payload": "\u5c71\u7530"') == 1
    assert text.count('"result": "\u5c71\u7530"') == 1


@pytest.mark.parametrize(
    "reply_to",
    [
        "queue-validate",
        "reply-queue-x",
        None,
        7,
        f"{REPLY_QUEUE}\n",
        f"x-{REPLY_QUEUE}",
        "reply-queue-/../queue-validate",
        "reply-queue-" + "0" * 15 + "/../queue-validate",  # 36 characters after reply-queue-
    ],
)
def test_request_for_a_foreign_queue_is_poison(start, storage, reply_to):
    queue_of(storage, "queue-validate")
    terminal = start("replier.py")
    request = order(1, reply_to=reply_to)
    send(storage, "request-queue", request)
    terminal.expect_exact("'request-queue-poison': reply_to is not a reply queue.")
    assert take(storage, "request-queue-poison") == [request]
    assert depth(storage, "queue-validate") == 0


def test_request_of_a_requestor_that_is_gone_is_said_and_does_not_hold_up_the_others(
    start, storage
):
    gone = f"reply-queue-{uuid.uuid4()}"
    send(storage, "request-queue", order(1, reply_to=gone))
    terminal = start("replier.py")
    terminal.expect_exact("[Replier] Storage error: The specified queue does not exist.")
    assert ask(storage, payload="next")["result"] == "NEXT"
    assert gone not in queues(storage)


@pytest.fixture
def requestor(start):
    """A requestor that waits for its reply."""
    terminal = start("requestor.py", "some", "thing")
    terminal.expect_exact("Waiting for reply...")
    return terminal


def asked(storage):
    """Return the request that waits in the queue: (dict, time to live in seconds)."""
    (message,) = wait_until(queue_of(storage, "request-queue").peek_messages)
    lifetime = message.expires_on - message.inserted_on
    return json.loads(message.content), lifetime.total_seconds()


def assert_ends(terminal, storage, code):
    """Assert that the requestor deletes its reply queue and ends with this exit code."""
    terminal.expect_exact("[Requestor] Deleting reply queue.")
    assert terminal.proc.wait(timeout=10) == code
    assert not [name for name in queues(storage) if name.startswith("reply-")]


def test_request_holds_the_three_fields_and_lives_as_long_as_the_wait(requestor, storage):
    request, lifetime = asked(storage)
    assert request["payload"] == "some thing"
    assert request["reply_to"] == f"reply-queue-{uuid.UUID(request['reply_to'][12:])}"
    assert request["correlation_id"] == str(uuid.UUID(request["correlation_id"]))
    assert request["reply_to"] in queues(storage)
    assert (len(request), lifetime) == (3, 50)


def test_strangers_messages_change_nothing(requestor, storage):
    request, _ = asked(storage)
    strangers = [{"result": "wrong", "correlation_id": "xyz"}, {"error": "forged"}, [1]]
    send(storage, request["reply_to"], "not JSON", *map(json.dumps, strangers))
    wait_until(lambda: not queue_of(storage, request["reply_to"]).peek_messages())
    reply = {"result": "RIGHT", "correlation_id": request["correlation_id"]}
    send(storage, request["reply_to"], json.dumps(reply))
    requestor.expect_exact("[Requestor] Reply received: RIGHT")
    assert_ends(requestor, storage, 0)
    assert "wrong" not in requestor.log.getvalue()


def test_error_reply_is_printed_and_ends_with_exit_code_1(requestor, storage):
    request, _ = asked(storage)
    reply = {"error": "no luck", "correlation_id": request["correlation_id"]}
    send(storage, request["reply_to"], json.dumps(reply))
    requestor.expect_exact("[Requestor] Error reply received: no luck")
    assert_ends(requestor, storage, 1)


def test_no_replier_ends_after_50_s_with_exit_code_1(requestor, storage):
    requestor.expect_exact("[Requestor] Timed out waiting for a reply.", timeout=55)
    assert_ends(requestor, storage, 1)


def test_ctrl_c_deletes_the_reply_queue(requestor, storage):
    rest, code = interrupt(requestor)
    assert rest.split("\n")[-3:] == [
        "[Requestor] Deleting reply queue.",
        "[Requestor] Stopped.",
        "",
    ]
    assert code == 130
    assert not [name for name in queues(storage) if name.startswith("reply-")]


def test_request_that_is_too_large_is_said_and_leaves_no_reply_queue(run, storage):
    result = run("requestor.py", "x" * 65536)
    assert result.returncode == 1
    assert "[Requestor] Storage error: The request body is too large" in result.out
    assert not [name for name in queues(storage) if name.startswith("reply-")]
