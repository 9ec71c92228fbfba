"""hypothesis-made messages into every input queue: each ends where the rules say, and all go on."""

import base64
import json
import time
import uuid
from collections import Counter

import pytest
from conftest import depth, printed, queue_of, queues, send, take, wait_until
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

BATCHES, SIZE = 10, 51  # of messages into each of the four input queues: 2,040 in all
PASS_LIMIT = 2  # seconds for a good message behind the rubbish
REPLY_QUEUE = f"reply-queue-{uuid.UUID(int=0)}"
GOOD = json.dumps({"amount": 1, "payload": "x", "reply_to": REPLY_QUEUE, "correlation_id": "good"})
ODD = (
    "\u202e\u2066\u200b\u200d\ufeff\x7f\x85\x9b\u2028\n\r\t\\\"'{}[]"  # bidi, zero-width, controls
)
# Whatever XML, and so a message, can carry.
CHARACTERS = st.sampled_from(ODD) | st.characters(
    min_codepoint=32, blacklist_categories=["Cs", "Cn"]
)
TEXT = st.text(CHARACTERS, min_size=1, max_size=60)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
FIELDS = {
    "amount": VALUES,
    "payload": VALUES,
    "correlation_id": VALUES,
    "reply_to": st.just(REPLY_QUEUE) | VALUES,
}
OBJECTS = st.fixed_dictionaries(FIELDS) | st.dictionaries(TEXT, VALUES, max_size=4)
OBJECTS = OBJECTS.map(json.dumps)
NEAR = st.tuples(OBJECTS, st.integers(0, 40), TEXT).map(
    lambda t: t[0][: t[1]] + t[2] + t[0][t[1] :]
)
SIZES = st.integers(1000, 65000).map(lambda size: json.dumps({"amount": 1, "big": "x" * size}))
MESSAGES = st.one_of(
    TEXT,
    OBJECTS,
    NEAR,
    SIZES,
    VALUES.map(json.dumps),
    OBJECTS.map(lambda text: base64.b64encode(text.encode()).decode()),
    st.integers(1, 30000).map(lambda depth: "[" * depth),
    st.sampled_from(['{"a": NaN}', '{"a": 1e999}', '{"amount": ' + "9" * 5000 + "}", "null", "{}"]),
)


def is_json_object(text):
    """Return whether the text is an RFC 8259 object, as far as Python can read it."""
    try:
        data = json.loads(text)
        json.dumps(data, allow_nan=False)
    except (ValueError, RecursionError):
        return False
    return isinstance(data, dict) and not text.startswith(("ey", "ew"))


def amount_is_positive(text):
    amount = json.loads(text).get("amount")
    return type(amount) in (int, float) and amount > 0


def fits_when_enriched(text):
    order = {**json.loads(text), "processed_at": "2026-11-24T00:00:00.000000+00:00"}
    return len(json.dumps(order)) <= 65536


def is_request(text):
    request = json.loads(text)
    identity = request.get("correlation_id")
    known = request.get("reply_to") == REPLY_QUEUE
    return known and isinstance(identity, str) and len(identity) <= 100


RULES = {  # script: input queue, output queue, the objects that are passed on, the other ones' end
    "filter_validate.py": ("queue-validate", "queue-enrich", amount_is_positive, "discarded"),
    "filter_enrich.py": ("queue-enrich", "queue-finalize", fits_when_enriched, "poison"),
    "replier.py": ("request-queue", REPLY_QUEUE, is_request, "poison"),
}


@pytest.mark.parametrize("script", RULES)
def test_rubbish_ends_where_the_rules_say(start, storage, script):
    source, target, rule, others = RULES[script]
    queue_of(storage, target)
    terminal = start(script)
    terminal.expect_exact("Waiting for")

    @settings(
        max_examples=BATCHES, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(st.lists(MESSAGES, min_size=SIZE, max_size=SIZE))
    def check(batch):
        objects = [text for text in batch if is_json_object(text)]
        passed = [text for text in objects if rule(text)]
        poison = Counter(batch) - Counter(objects)
        if others == "poison":
            poison += Counter(objects) - Counter(passed)
        send(storage, source, *batch, GOOD)
        results = take(storage, target, len(passed) + 1)
        wait_until(lambda: depth(storage, source) == 0)
        assert Counter(take(storage, source + "-poison", sum(poison.values()))) == poison
        assert len(results) == len(passed) + 1
        if script == "filter_validate.py":
            assert Counter(results) == Counter([*passed, GOOD])
        send(storage, source, GOOD)
        began = time.monotonic()
        take(storage, target)
        assert time.monotonic() - began < PASS_LIMIT

    check()
    assert terminal.proc.poll() is None
    assert all(line.startswith("[") for line in printed(terminal).splitlines())


def test_final_consumer_shows_all_rubbish_as_lines_of_its_own(start, storage):
    terminal = start("final_consumer.py")
    terminal.expect_exact("Waiting for")

    @settings(
        max_examples=BATCHES, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(st.lists(MESSAGES, min_size=SIZE, max_size=SIZE))
    def check(batch):
        send(storage, "queue-finalize", *batch)
        wait_until(lambda: depth(storage, "queue-finalize") == 0)

    check()
    assert terminal.proc.poll() is None
    text = printed(terminal).replace("\r\n", "\n")
    first, *lines = text.split("\n")[:-1]
    assert len(lines) == BATCHES * SIZE
    assert all(
        line.startswith("[Final Consumer] Fully processed message received: ") for line in lines
    )
    assert all(c.isprintable() or c == "\u3000" for line in lines for c in line)


def test_a_thousand_foreign_replies_at_once(start, storage):
    requestor = start("requestor.py")
    requestor.expect_exact("Waiting for reply...")
    (message,) = wait_until(lambda: list(queue_of(storage, "request-queue").peek_messages()))
    request = json.loads(message.content)
    queue = storage.service.get_queue_client(request["reply_to"])
    for number in range(1000):
        forged = {"error": "forged"} if number % 2 else {"result": "forged"}
        queue.send_message(json.dumps({**forged, "correlation_id": str(uuid.uuid4())}))
    queue.send_message(json.dumps({"result": "RIGHT", "correlation_id": request["correlation_id"]}))
    requestor.expect_exact("[Requestor] Reply received: RIGHT", timeout=40)
    requestor.expect_exact("Deleting reply queue.")
    assert requestor.proc.wait(timeout=10) == 0
    assert requestor.log.text.count("Discarding a message that is not the reply") == 1000
    assert "forged" not in requestor.log.text
    assert request["reply_to"] not in queues(storage)
