"""The functions that do the work, imported as a reader would who puts his own work there."""

import datetime
import json
import re

import pytest

import filter_enrich
import filter_validate
import replier

BAD = {  # what is no JSON object: the reason that is said
    "hello": "Expecting value",
    '{"amount": 1': "delimiter",
    '{"amount": 1}, {}': "Extra data",
    "[1]": "not a JSON object",
    "null": "not a JSON object",
    '"text"': "not a JSON object",
    "eyJhIjoxfQ==": "Expecting value",
    " ": "Expecting value",
}
LARGEST = 65536  # bytes, what a message holds


@pytest.mark.parametrize("script", [filter_validate, filter_enrich, replier])
@pytest.mark.parametrize("text", BAD)
def test_text_that_is_no_json_object_is_a_value_error(script, text):
    with pytest.raises(ValueError, match=BAD[text]):
        script.parse(text)


def test_json_object_is_a_dict():
    assert filter_validate.parse(' {"a": [1], "b": null} ') == {"a": [1], "b": None}


@pytest.mark.parametrize(
    "amount", ["0", "0.0", "-1", "-0.5", '"5"', "null", "[5]", "{}", "NaN", "true", None]
)
def test_order_without_an_amount_above_0_is_not_valid(amount):
    assert not filter_validate.validate(json.loads('{"amount": %s}' % amount if amount else "{}"))


@pytest.mark.parametrize("amount", [1, 0.01, 25000, 10**30])
def test_order_with_an_amount_above_0_is_valid(amount):
    assert filter_validate.validate({"amount": amount})


def test_enrich_adds_the_time_in_utc_and_leaves_the_rest():
    sent = {"z": None, "amount": 1.25, "name": "\u5c71\u7530", "deep": [{"a": [True]}]}
    order, before = dict(sent), datetime.datetime.now(datetime.timezone.utc)
    filter_enrich.enrich(order)
    processed_at = datetime.datetime.fromisoformat(order.pop("processed_at"))
    assert list(order.items()) == list(sent.items())
    assert processed_at.utcoffset() == datetime.timedelta(0)
    assert before <= processed_at <= datetime.datetime.now(datetime.timezone.utc)


@pytest.mark.parametrize(
    "payload, result", [("Gr\u00fc\u00dfe \u5c71", "GR\u00dcSSE \u5c71"), (123, "123"), ("", "")]
)
def test_reply_holds_the_result_and_the_correlation_id(payload, result):
    reply = replier.make_reply({"payload": payload, "correlation_id": "xyz"})
    assert json.loads(reply) == {"result": result, "correlation_id": "xyz"}
    assert result in reply  # readable


@pytest.mark.parametrize("character", ["x", "\u5c71"])
def test_reply_that_does_not_fit_into_a_message_is_an_error(character):
    size = len(character.encode())
    empty = len(replier.make_reply({"payload": "", "correlation_id": 1}))
    count, rest = divmod(LARGEST - empty, size)
    payload = character * count + "x" * rest
    assert len(replier.make_reply({"payload": payload, "correlation_id": 1}).encode()) == LARGEST
    reply = replier.make_reply({"payload": payload + "x", "correlation_id": 1})
    assert "does not fit" in json.loads(reply)["error"]


@pytest.mark.parametrize(
    "request_, work, error",
    [
        ({}, str, "KeyError('payload')"),
        ({"payload": 1}, lambda payload: payload.upper(), "AttributeError("),
        ({"payload": 1}, lambda payload: {payload}, "TypeError("),  # a set, which JSON has not
    ],
)
def test_work_that_fails_is_an_error_with_its_traceback(monkeypatch, capsys, request_, work, error):
    monkeypatch.setattr(replier, "work", work)
    reply = json.loads(replier.make_reply({**request_, "correlation_id": 1}))
    assert reply["error"].startswith(error)
    assert reply["correlation_id"] == 1
    assert "Traceback" in capsys.readouterr().out


def test_reply_queue_has_the_name_of_one():
    zeros = "00000000-0000-0000-0000-000000000000"
    assert re.fullmatch(replier.REPLY_QUEUE_PATTERN, f"reply-queue-{zeros}")
    for name in [
        "queue-validate",
        "None",
        f"reply-queue-{zeros}\n",
        f"x-reply-queue-{zeros}",
        f"reply-queue-{zeros}0",
        "reply-queue-/../queue-validate",
        "reply-queue-" + "0" * 18 + "/../queue-validate",  # 36 characters after reply-queue-
    ]:
        assert not re.fullmatch(replier.REPLY_QUEUE_PATTERN, name)
