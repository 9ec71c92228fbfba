"""Faults of single calls, chosen by method and queue: each is said, and no order is lost by it."""

import json
import re
import time

import pytest

from support.orders import OUTPUTS, arrived, numbers, order
from support.proxy import error, proxy
from support.queues import depth, queue_of, queues, send, take, via, wait_until
from support.terminals import printed
from support.topology import NAME, QUEUES

COUNT = 3  # good orders
FAILED = "Storage error: "
SHORT = ("VISIBILITY_TIMEOUT = 30", "VISIBILITY_TIMEOUT = 2")  # so that no test waits 30 s
FAULTS = {
    "500": lambda forward: error(500, "InternalError"),
    "503": lambda forward: error(503, "ServerBusy"),
    "answer lost": lambda forward: forward() and None,
    "late": lambda forward: time.sleep(5) or forward(),  # a script waits for 4 s
    "page of a company proxy": lambda forward: (
        502,
        {"Content-Type": "text/html"},
        b"<p>Sorry</p>",
    ),
}


def is_call(kind, script, method, path):
    """Return whether this is the kind of call: create, receive, send, delete or poison."""
    source, target = QUEUES[script][0], OUTPUTS[script] or QUEUES[script][0]
    wanted, pattern = {
        "create": ("PUT", f"/{target}$"),
        "receive": ("GET", f"/{source}/messages$"),
        "send": ("POST", f"/{target}/messages$"),
        "delete": ("DELETE", f"/{source}/messages/"),
        "poison": ("POST", f"/{source}-poison/messages$"),
    }[kind]
    return method == wanted and re.search(pattern, path.split("?")[0])


def spoil(hits, times, kind, script, fault):
    """Return an intercept() under which such calls fail until they did so a number of times."""

    def intercept(method, path, forward):
        if len(hits) < times and is_call(kind, script, method, path):
            hits.append(path)
            return fault(forward)
        return forward()

    return intercept


@pytest.mark.parametrize(
    "script, kind, fault",
    [
        *[("filter_validate.py", kind, "503") for kind in ("create", "receive", "poison")],
        *[("filter_validate.py", "send", fault) for fault in FAULTS],
        *[("filter_validate.py", kind, "answer lost") for kind in ("delete", "receive", "poison")],
        ("filter_enrich.py", "send", "answer lost"),
        ("filter_enrich.py", "delete", "500"),
        ("final_consumer.py", "receive", "late"),
        ("final_consumer.py", "delete", "503"),
        ("replier.py", "send", "503"),
        ("replier.py", "delete", "answer lost"),
    ],
)
def test_fault_is_said_and_nothing_is_lost(start, altered, storage, azurite, script, kind, fault):
    """Each fault comes twice, for the SDK tries twice."""
    source, hits = QUEUES[script][0], []
    if script == "replier.py":
        queue_of(storage, OUTPUTS[script])
    texts = ["bad"] * (kind == "poison") + [order(number) for number in range(COUNT)]
    send(storage, source, *texts)
    with proxy(azurite, spoil(hits, 2, kind, script, FAULTS[fault])) as port:
        folder = altered(script, *SHORT)
        page = fault.startswith("page")  # the SDK logs that it cannot read it
        terminal = start(script, folder=folder, traceback=page, **{NAME: via(port, storage)})
        terminal.expect_exact(FAILED)
        wait_until(lambda: depth(storage, source) == 0)
        assert len(hits) == 2
        assert terminal.proc.poll() is None
    found = arrived(script, storage, [printed(terminal)], COUNT)
    assert set(found) == set(range(COUNT))
    if kind == "poison":
        assert set(take(storage, f"{source}-poison")) == {"bad"}


def test_poison_queue_that_refuses_keeps_the_message(start, altered, storage, azurite):
    hits = []
    send(storage, "queue-validate", "bad", order(1))
    refuse = spoil(hits, 1000, "poison", "filter_validate.py", lambda forward: error(403, "No"))
    folder = altered("filter_validate.py", *SHORT)
    with proxy(azurite, refuse) as port:
        terminal = start("filter_validate.py", folder=folder, **{NAME: via(port, storage)})
        wait_until(lambda: len(hits) > 1)
        assert numbers(take(storage, "queue-enrich")) == [1]
    assert depth(storage, "queue-validate") == 1
    assert "moved" not in printed(terminal)


def test_reply_that_cannot_be_sent_is_sent_later(start, altered, storage, azurite):
    queue_of(storage, OUTPUTS["replier.py"])
    send(storage, "request-queue", order(1))
    hits = []
    refuse = spoil(hits, 2, "send", "replier.py", FAULTS["503"])
    with proxy(azurite, refuse) as port:
        folder = altered("replier.py", *SHORT)
        terminal = start("replier.py", folder=folder, **{NAME: via(port, storage)})
        (reply,) = take(storage, OUTPUTS["replier.py"])
    assert json.loads(reply) == {"result": "X", "correlation_id": 1}
    assert printed(terminal).count("Request received") == 2


def test_refused_delete_does_not_hold_up_the_others(start, storage, azurite):
    """With the visibility timeout as it is: who waits for it fails."""
    hits = []
    fault = spoil(hits, 1, "delete", "filter_validate.py", lambda f: error(404, "MessageNotFound"))
    send(storage, "queue-validate", *map(order, range(COUNT)))
    with proxy(azurite, fault) as port:
        start("filter_validate.py", **{NAME: via(port, storage)})
        assert numbers(take(storage, "queue-enrich", COUNT, timeout=10)) == list(range(COUNT))
        wait_until(lambda: depth(storage, "queue-validate") == 1)
    assert len(hits) == 1


def test_result_that_does_not_fit_does_not_hold_up_the_others(start, altered, storage):
    big = order(0, text="x" * (65536 - len(order(0, text=""))))  # as much as a message holds
    send(storage, "queue-enrich", big, order(1), order(2))
    folder = altered("filter_enrich.py", "VISIBILITY_TIMEOUT = 30", "VISIBILITY_TIMEOUT = 1")
    terminal = start("filter_enrich.py", folder=folder)
    assert numbers(take(storage, "queue-finalize", 2)) == [1, 2]
    assert take(storage, "queue-enrich-poison") == [big]
    text = printed(terminal)
    assert text.count(FAILED) == 5
    assert text.count("Received: ") == 8


@pytest.mark.parametrize("kind", ["create", "send"])
@pytest.mark.parametrize("script", ["pipe_producer.py", "requestor.py"])
def test_one_shot_gets_through_one_fault(start, run, storage, azurite, script, kind):
    """The answer to one call is lost; what was sent then may be there twice."""
    hits, target = [], QUEUES[script][1]

    def intercept(method, path, forward):
        wanted = {"create": ("PUT", f"/{target}$"), "send": ("POST", f"/{target}/messages$")}[kind]
        if not hits and method == wanted[0] and re.search(wanted[1], path.split("?")[0]):
            hits.append(path)
            forward()
            return None
        return forward()

    start("replier.py")
    with proxy(azurite, intercept) as port:
        result = run(script, **{NAME: via(port, storage)})
    assert (result.returncode, result.err, len(hits)) == (0, "", 1)
    if script == "pipe_producer.py":
        assert len(take(storage, target)) == (2 if kind == "send" else 1)
    assert not [name for name in queues(storage) if name.startswith("reply-")]


def test_producer_says_which_line_was_not_sent(run, storage, azurite, tmp_path):
    file, sent = tmp_path / "orders.jsonl", []
    file.write_text("".join(order(number) + "\n\n" for number in range(3)))

    def intercept(method, path, forward):
        sent.append(path) if method == "POST" else None
        return error(503, "ServerBusy") if method == "POST" and len(sent) > 1 else forward()

    with proxy(azurite, intercept) as port:
        result = run("pipe_producer.py", file, **{NAME: via(port, storage)})
    assert result.returncode == 1
    assert result.out.count("-> Sent to") == 1
    assert result.err.startswith("Line 3 was not sent: ")
    assert "finished" not in result.out
    assert numbers(take(storage, "queue-validate")) == [0]
