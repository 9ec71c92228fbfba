"""The functions that do the work, imported as a reader would who puts his own work there."""

import datetime
import json

import pytest

import filter_enrich
import filter_validate
import replier

AMOUNTS = ["0", "0.0", "-1", "-0.5", '"5"', "null", "[5]", "{}", "NaN", "true"]
LARGEST = 65536  # bytes, what a message holds


@pytest.mark.parametrize("text", ['{"amount": 1', "[1]", "null"])
def test_text_that_is_no_json_object_is_a_value_error(text):
    with pytest.raises(ValueError):
        filter_validate.parse(text)


def test_order_is_valid_with_an_amount_above_0():
    for amount in (1, 0.01, 10**30):
        assert filter_validate.validate({"amount": amount})
    for order in ("{}", *('{"amount": %s}' % amount for amount in AMOUNTS)):
        assert not filter_validate.validate(json.loads(order)), order


def test_enrich_adds_the_time_in_utc_and_leaves_the_rest():
    sent = {"z": None, "amount": 1.25, "name": "\u5c71\u7530", "deep": [{"a": [True]}]}
    order, before = dict(sent), datetime.datetime.now(datetime.timezone.utc)
    filter_enrich.enrich(order)
    processed_at = datetime.datetime.fromisoformat(order.pop("processed_at"))
    assert list(order.items()) == list(sent.items())
    assert processed_at.utcoffset() == datetime.timedelta(0)
    assert before <= processed_at <= datetime.datetime.now(datetime.timezone.utc)


def make_reply(payload):
    """Return the reply to a request with this payload: as text, and as a dict."""
    reply = replier.make_reply({"payload": payload, "correlation_id": "xyz"})
    return reply, json.loads(reply)


def test_reply_holds_the_result_readable_and_the_correlation_id():
    assert "KeyError('payload')" in replier.make_reply({})
    for payload, result in {"Gr\u00fc\u00dfe \u5c71": "GR\u00dcSSE \u5c71", 123: "123"}.items():
        text, reply = make_reply(payload)
        assert reply == {"result": result, "correlation_id": "xyz"}
        assert result in text


@pytest.mark.parametrize("character", ["X", "\u5c71"])
def test_reply_that_does_not_fit_into_a_message_is_an_error(character):
    room = LARGEST - len(make_reply("")[0])
    payload = character * (room // len(character.encode()))
    payload += "X" * (room - len(payload.encode()))
    assert make_reply(payload)[1]["result"] == payload
    assert "does not fit" in make_reply(payload + "X")[1]["error"]


@pytest.mark.parametrize(
    "work, error",
    [
        (lambda payload: payload.upper(), "AttributeError("),
        (lambda payload: {payload}, "TypeError("),  # a set, which JSON has not
        (lambda payload: {}["\u5c71"], "KeyError('\u5c71')"),
    ],
)
def test_work_that_fails_is_an_error_with_its_traceback(monkeypatch, capsys, work, error):
    monkeypatch.setattr(replier, "work", work)
    text, reply = make_reply(1)
    assert reply["error"].startswith(error)
    assert text.isascii() == error.isascii()  # Japanese stays readable
    assert reply["correlation_id"] == "xyz"
    assert "Traceback" in capsys.readouterr().out
