"""What becomes of each kind of message in the filters and the final consumer."""

import datetime
import json

import pytest

from suite.helpers.copies import SHORT
from suite.helpers.orders import OUTPUTS, give, order, wait_done
from suite.helpers.terminals import printed
from support.queues import depth, ensure_queue, send, take, wait_until
from support.topology import POLLERS, QUEUES

WITH_POISON = [script for script in POLLERS if script != "final_consumer.py"]
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
WORK = {  # script: where a mistake of the reader's own goes
    "filter_validate.py": '    amount = order.get("amount")\n',
    "filter_enrich.py": '    order["processed_at"]',
}
MAINTENANCE = '    order.get("customer") or json.loads("<p>Maintenance</p>")\n'


def test_valid_order_goes_on_byte_for_byte_and_never_expires(start, storage):
    text = '{"b": 2,\r\n  "amount" : 1.50, "amount": 2.0, "raw": "\\u5c71 <&>\U0001f375" }  '
    send(storage, "queue-validate", text)
    start("filter_validate.py")
    (message,) = wait_until(lambda: ensure_queue(storage, "queue-enrich").peek_messages())
    assert message.content == text
    assert message.expires_on.year == 9999
    wait_done(storage, "filter_validate.py")


def test_order_without_an_amount_above_0_is_discarded(start, storage):
    amounts = ["0", "-1", "-0.5", '"5"', "null", "[5]", "{}", "NaN", "true"]
    orders = ['{"order_id": "X", "amount": %s}' % amount for amount in amounts]
    send(storage, "queue-validate", '{"order_id": "no amount"}', *orders, order(1))
    terminal = start("filter_validate.py")
    assert take(storage, "queue-enrich") == [order(1)]
    wait_done(storage, "filter_validate.py")
    lines = printed(terminal).splitlines()
    assert lines.count("[Filter A] Validation failed. Discarding message.") == len(orders) + 1
    assert depth(storage, "queue-validate-poison") == 0


def test_enrich_adds_the_time_and_leaves_the_rest(start, storage):
    sent = {"z": None, "amount": 1.25, "name": "\u5c71\u7530", "deep": [{"a": [True]}]}
    before = datetime.datetime.now(datetime.timezone.utc)
    send(storage, "queue-enrich", json.dumps(sent))
    start("filter_enrich.py")
    (message,) = wait_until(lambda: ensure_queue(storage, "queue-finalize").peek_messages())
    result = json.loads(message.content)
    processed_at = datetime.datetime.fromisoformat(result.pop("processed_at"))
    assert list(result.items()) == list(sent.items())
    assert processed_at.utcoffset() == datetime.timedelta(0)
    assert before <= processed_at <= datetime.datetime.now(datetime.timezone.utc)
    assert message.expires_on.year == 9999


def test_japanese_stays_readable_and_small_on_its_whole_way(start, storage):
    terminals = [start(script) for script in POLLERS[:3]]
    fields = {"customer": "\u5c71\u7530\u3000\u592a\u90ce", "amount": 1, "note": "\u5c71" * 12000}
    send(storage, "queue-validate", json.dumps(fields, ensure_ascii=False))  # 36 KB of UTF-8
    for terminal in terminals:
        terminal.expect_exact('"customer": "\u5c71\u7530\u3000\u592a\u90ce"')


@pytest.mark.parametrize("script", WITH_POISON)
def test_bad_message_goes_to_the_poison_queue_at_once_with_a_reason(start, storage, script):
    source = QUEUES[script][0]
    give(storage, script, *BAD, order(1))
    terminal = start(script)
    for reason in BAD.values():
        terminal.expect_exact(f"Bad message moved to '{source}-poison': ")
        terminal.expect(f"^[^\\n]*{reason}[^\\n]*\\n")
    poison = ensure_queue(storage, f"{source}-poison")
    assert {message.expires_on.year for message in poison.peek_messages(32)} == {9999}
    assert take(storage, f"{source}-poison", len(BAD)) == list(BAD)
    assert len(take(storage, OUTPUTS[script])) == 1
    wait_done(storage, script)


@pytest.mark.parametrize("script", WITH_POISON)
def test_message_is_worked_on_five_times_and_poison_at_the_sixth(start, storage, script):
    source = QUEUES[script][0]
    queue = ensure_queue(storage, source)
    for deliveries, name in [(1, "sixth"), (4, "fifth")]:  # the former gets the latter's, too
        give(storage, script, order(name))
        for _ in range(deliveries):
            wait_until(lambda: len(queue.peek_messages(2)) == depth(storage, source))
            list(queue.receive_messages(visibility_timeout=1))
    terminal = start(script)
    terminal.expect_exact(f"moved to '{source}-poison': received 6 times.")
    assert take(storage, f"{source}-poison") == [order("sixth")]
    assert "fifth" in take(storage, OUTPUTS[script])[0]


@pytest.mark.parametrize("script", WORK)
def test_failed_work_comes_back_and_is_poison_at_last(start, altered, storage, script):
    """What it raises is a ValueError, like what cannot be read; the others of its batch go on at once."""
    source, target = QUEUES[script]
    changed = (WORK[script], MAINTENANCE + WORK[script])
    send(storage, source, order("bad"), *[order(number, customer="x") for number in range(3)])
    terminal = start(script, folder=altered(script, *SHORT, *changed), traceback=True)
    terminal.expect_exact(f"moved to '{source}-poison': received 6 times.")
    assert take(storage, f"{source}-poison") == [order("bad")]
    assert len(take(storage, target, 3)) == 3
    wait_done(storage, script)
    _, *deliveries = printed(terminal).split("] Failed. The message will come back.")
    assert [text.count("Received: ") for text in deliveries] == [4, 1, 1, 1, 1]
    assert [text.count(MAINTENANCE) for text in deliveries] == [1, 1, 1, 1, 0]
    assert "JSONDecodeError" in deliveries[0]


@pytest.mark.parametrize("script", WORK)
def test_mistake_in_a_send_is_shown_as_ones_own(start, altered, storage, script):
    old = "output_client.send_message(" + ("msg.content" if "validate" in script else "result")
    send(storage, QUEUES[script][0], order(1))
    folder = altered(script, old, old + ".encode()")
    terminal = start(script, folder=folder, traceback=True)
    terminal.expect_exact("TypeError: Message content must not be bytes.")
    assert "Storage error" not in printed(terminal)
