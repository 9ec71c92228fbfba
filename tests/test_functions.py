"""The pure functions, with all that hypothesis can think of."""

import contextlib
import datetime
import json
import uuid
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import filter_enrich
import filter_validate
import replier

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.text(), JSON)
UTC = st.datetimes(timezones=st.just(datetime.timezone.utc))


@given(OBJECTS, JSON)
def test_only_a_positive_number_is_valid(order, amount):
    order["amount"] = amount
    positive = isinstance(amount, (int, float)) and not isinstance(amount, bool) and amount > 0
    assert (filter_validate.validate(order) is None) == positive


@given(OBJECTS, UTC)
def test_enrich_changes_nothing_but_processed_at(order, now):
    before = json.dumps(order)
    result = filter_enrich.enrich(order, now)
    assert json.dumps(order) == before
    processed_at = datetime.datetime.fromisoformat(result.pop("processed_at"))
    assert processed_at == now
    assert processed_at.tzinfo is not None
    order.pop("processed_at", None)
    assert result == order


@given(st.text(), st.text(max_size=100), OBJECTS)
def test_every_request_of_a_requestor_gets_its_reply(payload, correlation_id, more):
    name = f"reply-queue-{uuid.uuid4()}"
    request = {**more, "payload": payload, "reply_to": name, "correlation_id": correlation_id}
    assert replier.answer(request) == (
        name,
        {"result": payload.upper(), "correlation_id": correlation_id},
    )


@given(OBJECTS, JSON)
def test_whatever_the_payload_a_reply_fits_into_a_message(more, payload):
    request = {"payload": payload, "reply_to": f"reply-queue-{uuid.uuid4()}", "correlation_id": "x"}
    _, reply = replier.answer({**more, **request})
    assert set(reply) in ({"result", "correlation_id"}, {"error", "correlation_id"})
    assert len(json.dumps(reply)) <= 65536


@given(OBJECTS)
def test_request_without_an_address_is_refused(request):
    with pytest.raises(ValueError):
        replier.answer(request)


def message(content, dequeue_count=1):
    """Return what parse() needs of a received message."""
    return SimpleNamespace(content=content, dequeue_count=dequeue_count)


@given(JSON)
def test_parse_returns_objects_and_nothing_else(value):
    if isinstance(value, dict):
        assert filter_validate.parse(message(json.dumps(value))) == value
    else:
        with pytest.raises(ValueError):
            filter_validate.parse(message(json.dumps(value)))


@given(st.text())
def test_parse_raises_nothing_but_what_handle_catches(text):
    with contextlib.suppress(ValueError, RecursionError):
        assert isinstance(filter_validate.parse(message(text)), dict)
