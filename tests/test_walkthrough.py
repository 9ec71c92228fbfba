"""The handout's walk-through, line by line, in every order of the terminals."""

import itertools
import json
import re

import pytest
from conftest import depth

WAITING = {
    "filter_validate.py": "[Filter A: Validate] Waiting for messages...",
    "filter_enrich.py": "[Filter B: Enrich] Waiting for messages...",
    "final_consumer.py": "[Final Consumer] Waiting for processed messages...",
    "replier.py": "[Replier] Waiting for requests...",
}
PIPELINE = ["filter_validate.py", "filter_enrich.py", "final_consumer.py", "pipe_producer.py"]
ORDER = {"order_id": "ORD-123", "amount": 25000, "items": ["item-A", "item-B"]}
FULLY = "[Final Consumer] Fully processed message received: "
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def lines(process):
    """Return the lines that the process has printed."""
    return process.log.text.replace("\r\n", "\n").splitlines()


def test_pipeline_prints_the_handouts_lines(start, run):
    terminals = []
    for script in PIPELINE[:3]:
        terminals.append(start(script))
        terminals[-1].expect_exact(WAITING[script])
    producer = run("pipe_producer.py")
    terminals[0].expect_exact("Passing to next filter.")
    terminals[1].expect_exact("Passing to final queue.")
    terminals[2].expect(re.escape(FULLY) + r"[^\n]*\n")
    assert producer.returncode == 0
    assert producer.err == ""
    # The filters have made the queue, so that the producer does not say that it did.
    assert producer.out.splitlines() == [
        "Sending order to the pipeline...",
        f"-> Sent to 'queue-validate': {ORDER}",
        "Producer finished.",
    ]
    assert lines(terminals[0]) == [
        WAITING["filter_validate.py"],
        f"[Filter A] Received: {json.dumps(ORDER)}",
        "[Filter A] Validation successful. Passing to next filter.",
    ]
    assert lines(terminals[1]) == [
        WAITING["filter_enrich.py"],
        f"[Filter B] Received: {json.dumps(ORDER)}",
        "[Filter B] Enriched data. Passing to final queue.",
    ]
    waiting, received = lines(terminals[2])
    assert waiting == WAITING["final_consumer.py"]
    assert {**json.loads(received[len(FULLY) :]), "processed_at": 0} == {**ORDER, "processed_at": 0}


def test_producer_first_makes_the_queue_and_says_so(run):
    assert run("pipe_producer.py").out.splitlines() == [
        "Queue 'queue-validate' created.",
        "Sending order to the pipeline...",
        f"-> Sent to 'queue-validate': {ORDER}",
        "Producer finished.",
    ]


@pytest.mark.parametrize("order", list(itertools.permutations(PIPELINE)), ids="-".join)
def test_pipeline_in_any_order(start, order):
    terminals = {}
    for script in order:
        terminals[script] = start(script)
        terminals[script].expect_exact(WAITING.get(script, "Producer finished."))
    terminals["final_consumer.py"].expect_exact(FULLY + '{"order_id": "ORD-123"')


def test_request_reply_prints_the_handouts_lines(start, run):
    replier = start("replier.py")
    replier.expect_exact(WAITING["replier.py"])
    requestor = run("requestor.py")
    assert requestor.returncode == 0
    assert requestor.err == ""
    match = re.fullmatch(
        rf"\[Requestor\] Created reply queue: '(reply-queue-{UUID})'\n"
        rf"\[Requestor\] Sending request with Correlation ID: ({UUID})\n"
        r"\[Requestor\] Waiting for reply\.\.\.\n"
        r"\[Requestor\] Reply received: HELLO WORLD\n"
        r"\[Requestor\] Deleting reply queue\.\n",
        requestor.out,
    )
    name, identity = match.groups()
    request = {"payload": "hello world", "reply_to": name, "correlation_id": identity}
    reply = {"result": "HELLO WORLD", "correlation_id": identity}
    replier.expect_exact("Sent reply")
    replier.expect_exact("}")
    assert lines(replier) == [
        WAITING["replier.py"],
        f"[Replier] Request received: {json.dumps(request)}",
        f"[Replier] Sent reply to '{name}': {reply}",
    ]


def test_requestor_before_replier(start, storage):
    requestor = start("requestor.py", "in", "time")
    requestor.expect_exact("[Requestor] Waiting for reply...")
    start("replier.py")
    requestor.expect_exact("[Requestor] Reply received: IN TIME")
    requestor.expect_exact("[Requestor] Deleting reply queue.")
    assert requestor.proc.wait(timeout=10) == 0
    assert depth(storage, "request-queue") == 0
