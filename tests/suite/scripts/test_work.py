"""The functions that do the work, imported as a reader would who puts his own work there."""

import datetime

import filter_enrich
import filter_validate
import replier


def test_order_is_valid_with_an_amount_above_0():
    for amount in (1, 0.01, 10**30):
        assert filter_validate.validate({"amount": amount})
    for amount in (0, -0.5, "5", None, [5], {}, float("nan"), True):
        assert not filter_validate.validate({"amount": amount}), amount


def test_enrich_adds_the_time_in_utc_and_leaves_the_rest():
    sent = {"z": None, "amount": 1.25, "name": "\u5c71\u7530", "deep": [{"a": [True]}]}
    order, before = dict(sent), datetime.datetime.now(datetime.timezone.utc)
    filter_enrich.enrich(order)
    processed_at = datetime.datetime.fromisoformat(order.pop("processed_at"))
    assert list(order.items()) == list(sent.items())
    assert processed_at.utcoffset() == datetime.timedelta(0)
    assert before <= processed_at <= datetime.datetime.now(datetime.timezone.utc)


def make_reply(payload):
    """Return the reply to a request with this payload."""
    return replier.make_reply({"payload": payload, "correlation_id": "xyz"})


def test_reply_holds_the_result_readable_and_the_correlation_id():
    for payload, result in {"Gr\u00fc\u00dfe \u5c71": "GR\u00dcSSE \u5c71", 123: "123"}.items():
        assert make_reply(payload) == f'{{"result": "{result}", "correlation_id": "xyz"}}'


def test_reply_that_does_not_fit_into_a_message_is_an_error():
    room = 65536 - len(make_reply(""))  # bytes
    payload = "\u5c71" * (room // 3) + "X" * (room % 3)
    assert f'"{payload}"' in make_reply(payload)
    assert "does not fit" in make_reply(payload + "X")


def test_work_that_fails_is_an_error_with_its_traceback(monkeypatch, capsys):
    """As when it looks up what is not there, or returns what JSON has not; Japanese stays readable."""
    assert "KeyError('payload')" in replier.make_reply({})
    for work, error in [({}.__getitem__, "KeyError('\u5c71')"), (set, "TypeError(")]:
        monkeypatch.setattr(replier, "work", work)
        reply = make_reply("\u5c71")
        assert reply.startswith(f'{{"error": "{error}')
        assert reply.endswith(', "correlation_id": "xyz"}')
        assert "Traceback" in capsys.readouterr().out
