"""The handout's walk-through, line by line, in the start orders that differ."""

import json
import re

import pytest

from suite.helpers.orders import wait_done
from suite.helpers.terminals import kill_and_read
from support.queues import queue_names
from support.topology import ARRIVED, READY, SCRIPTS, TIMEOUT

PIPELINE = SCRIPTS[:4]
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


@pytest.mark.parametrize("order", [PIPELINE, PIPELINE[::-1]], ids=["forwards", "backwards"])
def test_pipeline_prints_the_handouts_lines_in_any_order(start_script, order):
    terminals = {}
    for script in order:
        terminals[script] = start_script(script)
        terminals[script].expect_exact(READY.get(script, "Producer finished."))
    terminals["final_consumer.py"].expect(re.escape(ARRIVED) + r"[^\n]*\n")
    assert terminals["pipe_producer.py"].proc.wait(timeout=TIMEOUT) == 0
    text = "".join(kill_and_read(terminals[script]) for script in PIPELINE)
    created = "Queue 'queue-validate' created.\n" if order == PIPELINE else ""
    assert re.sub(r'"20[0-9T:.+-]+"', '"TIME"', text) == created + PRINTED


def test_requestors_before_and_after_the_replier_print_the_handouts_lines(
    start_script, run_script, storage
):
    """Those before it find their requests in one batch, and get each its own reply."""
    early = [start_script("requestor.py", "in", "time", f"\u5c71\u7530 {n}") for n in range(3)]
    for requestor in early:
        requestor.expect_exact("[Requestor] Waiting for reply...")
    replier = start_script("replier.py")
    for number, requestor in enumerate(early):
        requestor.expect_exact(f"[Requestor] Reply received: IN TIME \u5c71\u7530 {number}")
        assert requestor.proc.wait(timeout=TIMEOUT) == 0
    requestor = run_script("requestor.py")
    assert (requestor.returncode, requestor.err) == (0, "")
    name, identity = re.fullmatch(REQUESTED, requestor.out).groups()
    request = {"payload": "hello world", "reply_to": name, "correlation_id": identity}
    reply = {"result": "HELLO WORLD", "correlation_id": identity}
    wait_done(storage, "replier.py")
    ready, received, sent, *lines = kill_and_read(replier).splitlines()
    assert ready == READY["replier.py"]
    assert received.startswith('[Replier] Request received: {"payload": "in time \u5c71\u7530 ')
    assert '{"result": "IN TIME \u5c71\u7530 ' in sent
    assert lines[-2:] == [
        f"[Replier] Request received: {json.dumps(request)}",
        f"[Replier] Sent reply to '{name}': {json.dumps(reply)}",
    ]
    assert not any(name.startswith("reply-") for name in queue_names(storage))
