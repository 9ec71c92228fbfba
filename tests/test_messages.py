"""What becomes of each kind of message in the filters and the final consumer."""

import datetime
import json

import pytest

from support.orders import OUTPUTS, order
from support.queues import depth, queue_of, queues, send, take, wait_until
from support.terminals import printed
from support.topology import POLLERS, QUEUES

WITH_POISON = [script for script in POLLERS if script != "final_consumer.py"]
SHORT = ("VISIBILITY_TIMEOUT = 30", "VISIBILITY_TIMEOUT = 1")  # so that no test waits 30 s
BAD = {  # what is no JSON object: the reason that is said
    "hello": "Expecting value",
    '{"amount": 1': "delimiter",
    "[1]": "not a JSON object",
    '"text"': "not a JSON object",
    "eyJhIjoxfQ==": "Expecting value",
    " ": "Expecting value",
}
JAPANESE = json.dumps(
    {"amount": 1, "customer": "\u5c71\u7530\u3000\u592a\u90ce"}, ensure_ascii=False
)


@pytest.mark.parametrize(
    "text",
    [
        '{"b": 2,\r\n  "amount" : 1.50, "amount": 2.0 }  ',
        '{"amount": 1, "name": "\u5c71\u7530 \U0001f375", "raw": "\\u5c71 <&>"}',
    ],
)
def test_valid_order_goes_on_byte_for_byte_and_never_expires(start, storage, text):
    send(storage, "queue-validate", text)
    start("filter_validate.py")
    target = queue_of(storage, "queue-enrich")
    (message,) = wait_until(target.peek_messages)
    assert message.content == text
    assert message.expires_on.year == 9999
    wait_until(lambda: depth(storage, "queue-validate") == 0)


def test_order_without_an_amount_above_0_is_discarded(start, storage):
    amounts = ["0", "-1", "-0.5", '"5"', "null", "[5]", "{}", "NaN"]
    orders = ['{"order_id": "X", "amount": %s}' % amount for amount in amounts]
    send(storage, "queue-validate", '{"order_id": "no amount"}', *orders, order(1))
    terminal = start("filter_validate.py")
    assert take(storage, "queue-enrich") == [order(1)]
    wait_until(lambda: depth(storage, "queue-validate") == 0)
    lines = printed(terminal).splitlines()
    assert lines.count("[Filter A] Validation failed. Discarding message.") == len(orders) + 1
    assert depth(storage, "queue-validate-poison") == 0


def test_enrich_adds_the_time_and_leaves_the_rest(start, storage):
    sent = {"z": None, "amount": 1.25, "name": "\u5c71\u7530", "deep": [{"a": [True]}]}
    before = datetime.datetime.now(datetime.timezone.utc)
    send(storage, "queue-enrich", json.dumps(sent))
    start("filter_enrich.py")
    (message,) = wait_until(lambda: queue_of(storage, "queue-finalize").peek_messages())
    result = json.loads(message.content)
    processed_at = datetime.datetime.fromisoformat(result.pop("processed_at"))
    assert list(result.items()) == list(sent.items())
    assert processed_at.utcoffset() == datetime.timedelta(0)
    assert before <= processed_at <= datetime.datetime.now(datetime.timezone.utc)
    assert message.expires_on.year == 9999


def test_japanese_stays_readable_on_its_whole_way(start, storage):
    terminals = [start(script) for script in POLLERS[:3]]
    send(storage, "queue-validate", JAPANESE)
    for terminal in terminals:
        terminal.expect_exact('"customer": "\u5c71\u7530\u3000\u592a\u90ce"')


def test_japanese_order_of_36_kb_is_not_too_large_when_enriched(start, storage):
    text = json.dumps({"amount": 1, "note": "\u5c71" * 12000}, ensure_ascii=False)
    send(storage, "queue-enrich", text)
    start("filter_enrich.py")
    (result,) = take(storage, "queue-finalize")
    assert json.loads(result)["note"] == "\u5c71" * 12000


def test_final_consumer_prints_whatever_it_gets(start, storage):
    texts = ["hello", '{"a": NaN}', JAPANESE]
    send(storage, "queue-finalize", *texts)
    terminal = start("final_consumer.py")
    for text in texts:
        terminal.expect_exact("[Final Consumer] Fully processed message received: " + text)
    wait_until(lambda: depth(storage, "queue-finalize") == 0)


@pytest.mark.parametrize("script", WITH_POISON)
def test_bad_message_goes_to_the_poison_queue_at_once_with_a_reason(start, storage, script):
    source = QUEUES[script][0]
    send(storage, source, *BAD)
    terminal = start(script)
    for reason in BAD.values():
        terminal.expect_exact(f"Bad message moved to '{source}-poison': ")
        terminal.expect(f"^[^\\n]*{reason}[^\\n]*\\n")
    poison = queue_of(storage, f"{source}-poison")
    assert {message.expires_on.year for message in poison.peek_messages(32)} == {9999}
    assert take(storage, f"{source}-poison", len(BAD)) == list(BAD)
    wait_until(lambda: depth(storage, source) == 0)


@pytest.mark.parametrize("script", WITH_POISON)
def test_message_is_worked_on_five_times_and_poison_at_the_sixth(start, storage, script):
    queue_of(storage, OUTPUTS[script])
    queue = queue_of(storage, QUEUES[script][0])
    for deliveries, name in [(4, "fifth"), (5, "sixth")]:
        queue.send_message(order(name))
        for _ in range(deliveries):
            wait_until(lambda: list(queue.receive_messages(visibility_timeout=1)))
        wait_until(queue.peek_messages)
        terminal = start(script)
        if name == "sixth":
            terminal.expect_exact(f"moved to '{QUEUES[script][0]}-poison': received 6 times.")
        else:
            terminal.expect("Validation successful|Enriched data|Sent reply")
            wait_until(lambda: depth(storage, QUEUES[script][0]) == 0)
        printed(terminal)
        queue.clear_messages()


WORK = {  # script: where a mistake of the reader's own goes
    "filter_validate.py": '    amount = order.get("amount")\n',
    "filter_enrich.py": '    order["processed_at"]',
}
MISTAKES = {
    "KeyError": '    order["customer"]\n',
    "JSONDecodeError": '    order.get("customer") or json.loads("<p>Maintenance</p>")\n',
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("script", WORK)
def test_failed_work_comes_back_and_is_poison_at_last(start, altered, storage, script, mistake):
    source, target = QUEUES[script]
    changed = (WORK[script], MISTAKES[mistake] + WORK[script])
    good = [order(number, customer="x") for number in range(3)]
    send(storage, source, order("bad"), *good)
    terminal = start(script, folder=altered(script, *SHORT, *changed), traceback=True)
    assert len(take(storage, target, 3)) == 3
    terminal.expect_exact(f"moved to '{source}-poison': received 6 times.")
    assert take(storage, f"{source}-poison") == [order("bad")]
    wait_until(lambda: depth(storage, source) == 0)
    text = printed(terminal)
    assert text.count("] Failed. The message will come back.") == 5
    assert text.count(f"line {line_of(script, WORK[script])}, in ") == 5
    assert mistake in text


@pytest.mark.parametrize("script", WORK)
def test_failed_work_does_not_hold_up_the_others(start, altered, storage, script):
    """With the visibility timeout as it is: who waits for it fails."""
    source, target = QUEUES[script]
    changed = (WORK[script], MISTAKES["KeyError"] + WORK[script])
    send(storage, source, order("bad"), *[order(number, customer="x") for number in range(3)])
    start(script, folder=altered(script, *changed), traceback=True)
    assert len(take(storage, target, 3)) == 3
    wait_until(lambda: depth(storage, source) == 1)


def line_of(script, text):
    """Return the number of the line in the script that starts with this text."""
    from support.topology import PROJECT

    source = (PROJECT / script).read_text(encoding="utf-8")
    return source[: source.index(text)].count("\n") + 1


@pytest.mark.parametrize("script", WORK)
def test_mistake_in_a_send_is_shown_as_ones_own(start, altered, storage, script):
    old = "output_client.send_message(" + ("msg.content" if "validate" in script else "result")
    send(storage, QUEUES[script][0], order(1))
    folder = altered(script, old, old + ".encode()")
    terminal = start(script, folder=folder, traceback=True)
    terminal.expect_exact("TypeError: Message content must not be bytes.")
    assert "Azur" not in printed(terminal)


def test_good_message_behind_bad_ones_passes(start, storage):
    send(storage, "queue-validate", *["bad"] * 40, order(1))
    start("filter_validate.py")
    assert take(storage, "queue-enrich") == [order(1)]
    wait_until(lambda: depth(storage, "queue-validate-poison") == 40)


def test_each_script_creates_its_own_queues(start, storage):
    for script in POLLERS:
        start(script).expect_exact("Waiting for")
    poison = [f"{QUEUES[script][0]}-poison" for script in WITH_POISON]
    assert set(queues(storage)) == {*poison, *(QUEUES[script][0] for script in POLLERS)}
