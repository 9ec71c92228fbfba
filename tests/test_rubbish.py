"""What hypothesis can think of: the pure functions, and rubbish into the input queues."""

import contextlib
import datetime
import json
from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import filter_enrich
import filter_validate
import replier
from support.orders import OUTPUTS, REPLY_QUEUE, order
from support.queues import depth, queue_of, send, take, wait_until
from support.terminals import printed
from support.topology import POLLERS, QUEUES

SIZE = 51  # messages of a batch, more than one receive takes
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
# Whatever XML, and so a message, can carry.
TEXT = st.text(st.characters(min_codepoint=32, blacklist_categories=["Cs", "Cn"]), min_size=1)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
OBJECTS = st.dictionaries(TEXT, JSON, max_size=4)
REQUESTS = st.fixed_dictionaries(
    {"amount": JSON, "payload": JSON, "reply_to": st.just(REPLY_QUEUE) | JSON}
)
MESSAGES = TEXT | st.one_of(OBJECTS, REQUESTS, JSON).map(json.dumps)


@given(OBJECTS, JSON)
def test_only_a_number_above_0_is_valid(fields, amount):
    positive = isinstance(amount, (int, float)) and amount > 0
    assert filter_validate.validate({**fields, "amount": amount}) == positive
    assert not filter_validate.validate({**fields, "amount": float("nan")})


@given(OBJECTS)
def test_enrich_changes_nothing_but_processed_at(fields):
    result = dict(fields)
    filter_enrich.enrich(result)
    assert datetime.datetime.fromisoformat(result["processed_at"]).utcoffset().seconds == 0
    assert {**result, "processed_at": 0} == {**fields, "processed_at": 0}


@given(JSON)
def test_every_payload_gets_a_reply(payload):
    reply = json.loads(replier.make_reply({"payload": payload, "correlation_id": "xyz"}))
    assert reply == {"result": str(payload).upper(), "correlation_id": "xyz"}


@given(TEXT | JSON.map(json.dumps))
def test_parse_returns_an_object_or_raises_value_error(content):
    with contextlib.suppress(ValueError):
        data = filter_validate.parse(SimpleNamespace(content=content, dequeue_count=1))
        assert data == json.loads(content)
        assert isinstance(data, dict)


def is_object(text):
    """Return the JSON object in the text, or None."""
    with contextlib.suppress(ValueError):
        data = json.loads(text)
        return data if isinstance(data, dict) else None


GOOD = {  # what a script passes on of the JSON objects; it discards the others, or puts them aside
    "filter_validate.py": filter_validate.validate,
    "filter_enrich.py": lambda data: True,
    "final_consumer.py": lambda data: True,
    "replier.py": lambda data: data.get("reply_to") == REPLY_QUEUE,
}


@pytest.mark.parametrize("script", POLLERS)
def test_rubbish_ends_where_the_rules_say(start, storage, script):
    source, target = QUEUES[script][0], OUTPUTS[script]
    terminal = start(script, traceback=script == "replier.py")  # of a request without payload
    terminal.expect_exact("Waiting for")

    @settings(max_examples=2, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(st.lists(MESSAGES, min_size=SIZE, max_size=SIZE))
    def check(texts):
        objects = [text for text in texts if is_object(text) is not None]
        good = [text for text in objects if GOOD[script](is_object(text))]
        bad = Counter(texts) - Counter(good if script == "replier.py" else objects)
        if target:
            queue_of(storage, target)
        send(storage, source, *texts, order(1))
        wait_until(lambda: depth(storage, source) == 0)
        if script == "final_consumer.py":
            return
        assert len(take(storage, target, len(good) + 1)) == len(good) + 1
        if bad:
            assert Counter(take(storage, f"{source}-poison", sum(bad.values()))) == bad

    check()
    assert terminal.proc.poll() is None
    if script == "final_consumer.py":
        assert printed(terminal).count("] Fully processed message received: ") >= 2 * (SIZE + 1)
