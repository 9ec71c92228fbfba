"""The handout's walk-through, line by line, in the start orders that differ."""

import json
import re

import pytest

from suite.helpers.orders import wait_done
from suite.helpers.terminals import kill_and_read
from support.queues import queue_names
from support.topology import ARRIVED, POLLERS, READY, SCRIPTS, TIMEOUT

PIPELINE = POLLERS[:3]
ORDER = '{"order_id": "ORD-123", "amount": 25000, "items": ["item-A", "item-B"]}'
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
PRINTED = f"""\
Sending order to the pipeline...
-> Sent to 'queue-validate': {ORDER}
Producer finished.
[Filter A: Validate] Waiting for messages...
[Filter A] Received: {ORDER}
[Filter A] Validation successful. Passing to next filter.
[Filter B: Enrich] Waiting for messages...
[Filter B] Received: {ORDER}
[Filter B] Enriched data. Passing to final queue.
[Final Consumer] Waiting for processed messages...
[Final Consumer] Fully processed message received: {ORDER[:-1]}, "processed_at": "TIME"}}
"""
REQUESTED = rf"""\[Requestor\] Created reply queue: '(reply-queue-{UUID})'
\[Requestor\] Sending request with Correlation ID: ({UUID})
\[Requestor\] Waiting for reply\.\.\.
\[Requestor\] Reply received: HELLO WORLD
\[Requestor\] Deleting reply queue\.
"""


@pytest.mark.parametrize(
    "order",
    [
        [*PIPELINE, "pipe_producer.py"],
        ["pipe_producer.py", *PIPELINE],
        ["pipe_producer.py", *reversed(PIPELINE)],
        ["final_consumer.py", "filter_enrich.py", "pipe_producer.py", "filter_validate.py"],
    ],
    ids="-".join,
)
def test_pipeline_prints_the_handouts_lines_in_any_start_order(start_script, order):
    terminals = {}
    for script in order:
        terminals[script] = start_script(script)
        terminals[script].expect_exact(READY.get(script, "Producer finished."))
    terminals["final_consumer.py"].expect(re.escape(ARRIVED) + r"[^\n]*\n")
    assert terminals["pipe_producer.py"].proc.wait(timeout=TIMEOUT) == 0
    text = "".join(kill_and_read(terminals[script]) for script in SCRIPTS[:4])
    created = "" if order[0] == "filter_validate.py" else "Queue 'queue-validate' created.\n"
    assert re.sub(r'"20[0-9T:.+-]+"', '"TIME"', text) == created + PRINTED


def test_request_and_reply_print_the_handouts_lines(start_script, run_script, storage):
    replier = start_script("replier.py")
    replier.expect_exact(READY["replier.py"])
    requestor = run_script("requestor.py")
    assert (requestor.returncode, requestor.err) == (0, "")
    match = re.fullmatch(REQUESTED, requestor.out)
    name, identity = match.groups()
    request = {"payload": "hello world", "reply_to": name, "correlation_id": identity}
    reply = {"result": "HELLO WORLD", "correlation_id": identity}
    wait_done(storage, "replier.py")
    assert kill_and_read(replier).splitlines() == [
        READY["replier.py"],
        f"[Replier] Request received: {json.dumps(request)}",
        f"[Replier] Sent reply to '{name}': {json.dumps(reply)}",
    ]
    assert name not in queue_names(storage)


def test_requestor_before_replier_with_a_payload_in_japanese(start_script):
    requestor = start_script("requestor.py", "in", "time", "\u5c71\u7530")
    requestor.expect_exact("[Requestor] Waiting for reply...")
    replier = start_script("replier.py")
    replier.expect_exact('{"payload": "in time \u5c71\u7530", ')
    replier.expect_exact('{"result": "IN TIME \u5c71\u7530", ')
    requestor.expect_exact("[Requestor] Reply received: IN TIME \u5c71\u7530")
    assert requestor.proc.wait(timeout=TIMEOUT) == 0


def test_ten_requestors_get_each_its_own_reply(start_script):
    start_script("replier.py")
    requestors = [start_script("requestor.py", "number", number) for number in range(10)]
    for number, requestor in enumerate(requestors):
        requestor.expect(rf"\[Requestor\] Reply received: NUMBER {number}\r?\n")
