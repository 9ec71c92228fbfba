"""Faults between a script and storage: each script gets through or says what is wrong; no loss."""

import itertools
import json
import re
import time
import uuid

import pytest
from conftest import NAME, POLLERS, SCRIPTS, depth, printed, queue_of, send, take, via, wait_until
from proxy import error, half, proxy

ORDER = '{"amount": 1}'
SAY_LIMIT = 10  # seconds
QUEUES = {
    "filter_validate.py": ("queue-validate", "queue-enrich"),
    "filter_enrich.py": ("queue-enrich", "queue-finalize"),
    "final_consumer.py": ("queue-finalize", None),
    "replier.py": ("request-queue", f"reply-queue-{uuid.UUID(int=0)}"),
}
REQUEST = json.dumps({"payload": "x", "reply_to": QUEUES["replier.py"][1], "correlation_id": "1"})


def hang(forward):
    """Answer after longer than any script waits."""
    time.sleep(12)
    return forward()


def blocked(status):
    """Return the response of a company proxy that refuses the call."""
    return status, {"Content-Type": "text/html"}, b"<p>Blocked"


FAULTS = {
    "500": lambda forward: error(500, "InternalError"),
    "500 after the work": lambda forward: forward() and error(500, "InternalError"),
    "503": lambda forward: error(503, "ServerBusy", Retry_After="1"),
    "502 of a company proxy": lambda forward: (502, {"Content-Type": "text/html"}, b"<html>no"),
    "200 of a company proxy": lambda forward: (
        200,
        {"Content-Type": "text/html"},
        b"<p>Log in<br>",
    ),
    "503 in Shift_JIS": lambda forward: (503, {"Content-Type": "text/html"}, b"<p>\x82\xa0"),
    "503 in x-sjis": lambda forward: (503, {"Content-Type": "text/html; charset=x-sjis"}, b"<p>"),
    "503 in JSON": lambda forward: (
        503,
        {"Content-Type": "application/json"},
        b'{"error": {"code": 1}}',
    ),
    "503 without a body": lambda forward: (503, {}, b""),
    "429": lambda forward: error(429, "TooManyRequests"),
    "cut": lambda forward: None,
    "cut after the work": lambda forward: forward() and None,
    "cut in the middle of the response": lambda forward: half(forward()),
    "no answer": hang,
}


@pytest.mark.parametrize(
    "script, fault",
    [
        *[("filter_validate.py", fault) for fault in FAULTS],  # the others have the same lines
        *[(script, fault) for script in POLLERS[1:] for fault in ("503", "cut after the work")],
    ],
)
def test_poller_says_so_goes_on_and_loses_nothing(start, altered, storage, azurite, script, fault):
    """Calls 5 to 7 fail: with three calls to start, in the middle of the work."""
    source, target = QUEUES[script]
    calls = itertools.count(1)

    def intercept(method, path, forward):
        return FAULTS[fault](forward) if next(calls) in (5, 6, 7) else forward()

    if target:
        queue_of(storage, target)
    send(storage, source, *[REQUEST if script == "replier.py" else ORDER] * 3)
    short = ('"visibility_timeout": 30', '"visibility_timeout": 2')
    with proxy(azurite, intercept) as port:
        began = time.monotonic()
        terminal = start(script, folder=altered(script, *short), **{NAME: via(port, storage)})
        terminal.expect_exact("cannot be reached. Is Azurite running?")
        assert time.monotonic() - began < SAY_LIMIT
        wait_until(lambda: depth(storage, source) == 0, timeout=40)
        assert terminal.proc.poll() is None
        if target:
            assert len(take(storage, target, 3)) <= 6
        else:
            assert printed(terminal).count("Fully processed message received: ") >= 3


@pytest.mark.parametrize("fault", ["503", "200 of a company proxy", "503 in Shift_JIS"])
@pytest.mark.parametrize("script", POLLERS)
def test_poller_says_once_that_it_cannot_receive(start, storage, azurite, script, fault):
    calls = []

    def intercept(method, path, forward):
        if method == "GET" and "/messages" in path:
            calls.append(path)
            return FAULTS[fault](forward)
        return forward()

    with proxy(azurite, intercept) as port:
        terminal = start(script, **{NAME: via(port, storage)})
        wait_until(lambda: len(calls) > 5)
        assert printed(terminal).count("cannot be reached") == 1


@pytest.mark.parametrize("fault", ["503", "200 of a company proxy", "503 in Shift_JIS"])
def test_requestor_that_cannot_receive_says_so_and_tidies_up(run, storage, azurite, fault):
    def intercept(method, path, forward):
        return FAULTS[fault](forward) if method == "GET" else forward()

    with proxy(azurite, intercept) as port:
        result = run("requestor.py", **{NAME: via(port, storage)})
    assert result.returncode == 1
    assert "cannot be reached. Is Azurite running?" in result.err
    assert result.out.endswith("[Requestor] Deleting reply queue.\n")


@pytest.mark.parametrize(
    "fault, line",
    [
        (FAULTS["503 in Shift_JIS"], "cannot be reached"),
        (FAULTS["503 in JSON"], "cannot be reached"),
        (lambda forward: blocked(404), "refuses (<p>Blocked). Is the key in .env right?"),
        (lambda forward: blocked(409), "refuses (<p>Blocked). Is the key in .env right?"),
    ],
    ids=["503 in Shift_JIS", "503 in JSON", "404", "409"],
)
def test_request_is_kept_if_its_reply_cannot_be_sent(start, storage, azurite, fault, line):
    def intercept(method, path, forward):
        refused = method == "POST" and "/reply-queue-" in path
        return fault(forward) if refused else forward()

    queue_of(storage, QUEUES["replier.py"][1])
    send(storage, "request-queue", REQUEST)
    with proxy(azurite, intercept) as port:
        terminal = start("replier.py", **{NAME: via(port, storage)})
        terminal.expect_exact(line)
        assert not re.search("moved to|is gone", printed(terminal))
    assert depth(storage, "request-queue") == 1


@pytest.mark.parametrize("method, status", [("POST", 404), ("POST", 409), ("GET", 404)])
def test_requestor_asks_once_if_a_proxy_refuses_the_call(run, storage, azurite, method, status):
    def intercept(called, path, forward):
        refused = called == method and "/messages" in path
        return blocked(status) if refused else forward()

    with proxy(azurite, intercept) as port:
        result = run("requestor.py", **{NAME: via(port, storage)})
    assert result.returncode == 1
    assert result.out.count("Sending request") == 1
    assert result.out.endswith("[Requestor] Deleting reply queue.\n")
    assert "refuses (<p>Blocked). Is the key in .env right?" in result.err


def test_producer_says_what_it_cannot_read(run, storage, azurite, tmp_path):
    file = tmp_path / "orders.jsonl"
    file.write_text(ORDER)

    def intercept(method, path, forward):
        return FAULTS["503 in Shift_JIS"](forward) if method == "POST" else forward()

    with proxy(azurite, intercept) as port:
        result = run("pipe_producer.py", file, **{NAME: via(port, storage)})
    assert result.returncode == 1
    assert "cannot be reached" in result.err
    assert "Cannot read" not in result.err


@pytest.mark.parametrize("failing", [1, 3])
@pytest.mark.parametrize("fault", ["503", "cut after the work", "no answer"])
@pytest.mark.parametrize("script", ["pipe_producer.py", "requestor.py"])
def test_one_shot_gets_through_one_fault(start, run, storage, azurite, script, fault, failing):
    calls = itertools.count(1)

    def intercept(method, path, forward):
        return FAULTS[fault](forward) if next(calls) == failing else forward()

    if script == "requestor.py":
        start("replier.py")
    with proxy(azurite, intercept) as port:
        result = run(script, **{NAME: via(port, storage)})
    assert result.err == ""
    assert result.returncode == 0
    if script == "pipe_producer.py":
        assert 1 <= len(take(storage, "queue-validate")) <= 2  # sent again when the answer was lost
    else:
        assert result.out.count("Reply received: HELLO WORLD") == 1


@pytest.mark.parametrize(
    "fault",
    [
        "500",
        "cut in the middle of the response",
        "502 of a company proxy",
        "200 of a company proxy",
        "503 in Shift_JIS",
        "503 in JSON",
    ],
)
@pytest.mark.parametrize("script", SCRIPTS)
def test_lasting_fault_is_said_in_time(start, storage, azurite, script, fault):
    def intercept(method, path, forward):
        return FAULTS[fault](forward)

    with proxy(azurite, intercept) as port:
        began = time.monotonic()
        terminal = start(script, **{NAME: via(port, storage)})
        terminal.expect_exact("cannot be reached. Is Azurite running?")
        assert time.monotonic() - began < SAY_LIMIT
        if script not in POLLERS:
            assert terminal.proc.wait(timeout=SAY_LIMIT) == 1
        own = re.compile(r"\[|127\.0\.0\.1:|Queue '|Sending order")
        assert all(map(own.match, printed(terminal).splitlines()))  # nothing of the SDK's own log
