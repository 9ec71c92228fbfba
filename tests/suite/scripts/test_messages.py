"""What becomes of each kind of message; what the functions alone do, test_work.py sees."""

import pytest

from suite.helpers.copies import SHORT
from suite.helpers.orders import OUTPUTS, first_message, give, order, wait_done
from suite.helpers.terminals import kill_and_read
from support.queues import depth, ensure_queue, send, take, wait_until
from support.topology import POLLERS, QUEUES

WITH_POISON = [script for script in POLLERS if script != "final_consumer.py"]
BAD = {"hello": "Expecting value", "[1]": "not a JSON object"}  # message: the reason that is said
WORK = {  # script: where a mistake of the reader's own goes
    "filter_validate.py": '    amount = order.get("amount")\n',
    "filter_enrich.py": '    order["processed_at"]',
    "replier.py": "    reply = make_reply(req_data)\n",
}
MAINTENANCE = '    order.get("customer") or json.loads("<p>Maintenance</p>")\n'


def test_valid_order_goes_on_byte_for_byte_and_others_are_discarded_with_a_line(
    start_script, storage
):
    text = '{"b": 2,\r\n  "amount" : 1.50, "amount": 2.0, "raw": "\\u5c71 <&>\U0001f375" }  '
    send(storage, "queue-validate", '{"order_id": "no amount"}', order(0, amount=0), text)
    terminal = start_script("filter_validate.py")
    message = first_message(storage, "queue-enrich")
    assert message.content == text
    assert message.expires_on.year == 9999  # never
    wait_done(storage, "filter_validate.py")
    discarded = "\n[Filter A] Validation failed. Discarding message.\n"
    assert kill_and_read(terminal).count(discarded) == 2
    assert depth(storage, "queue-enrich") == 1
    assert depth(storage, "queue-validate-poison") == 0


def test_enriched_order_is_written_anew_stays_readable_and_never_expires(start_script, storage):
    send(storage, "queue-enrich", '{"amount":  1.10, "name": "\\u5c71\u7530\u3000\u592a\u90ce"}')
    start_script("filter_enrich.py")
    message = first_message(storage, "queue-finalize")
    same = '{"amount": 1.1, "name": "\u5c71\u7530\u3000\u592a\u90ce", "processed_at": "'
    assert message.content.startswith(same)
    assert message.expires_on.year == 9999


@pytest.mark.parametrize("script", WITH_POISON)
def test_bad_message_goes_to_the_poison_queue_at_once_with_a_reason(start_script, storage, script):
    source = QUEUES[script][0]
    give(storage, script, *BAD, order(1))
    terminal = start_script(script)
    for reason in BAD.values():
        terminal.expect_exact(f"Bad message moved to '{source}-poison': ")
        terminal.expect(f"^[^\\n]*{reason}[^\\n]*\\n")
    poison = ensure_queue(storage, f"{source}-poison")
    assert {message.expires_on.year for message in poison.peek_messages(32)} == {9999}
    assert take(storage, f"{source}-poison", len(BAD)) == list(BAD)
    assert len(take(storage, OUTPUTS[script])) == 1
    wait_done(storage, script)


@pytest.mark.parametrize("script", WITH_POISON)
def test_message_is_worked_on_five_times_and_poison_at_the_sixth(start_script, storage, script):
    source = QUEUES[script][0]
    queue = ensure_queue(storage, source)

    def all_visible():
        return len(queue.peek_messages(2)) == depth(storage, source)

    for deliveries, name in [(1, "sixth"), (4, "fifth")]:  # the former gets the latter's, too
        give(storage, script, order(name))
        for _ in range(deliveries):
            wait_until(all_visible, what="all messages are visible again")
            next(queue.receive_messages(messages_per_page=2, visibility_timeout=1).by_page())
    terminal = start_script(script)
    terminal.expect_exact(f"moved to '{source}-poison': received 6 times.")
    assert take(storage, f"{source}-poison") == [order("sixth")]
    assert "fifth" in take(storage, OUTPUTS[script])[0]


@pytest.mark.parametrize("script", WORK)
def test_failed_work_comes_back_and_is_poison_at_last(start_script, edited, storage, script):
    """It raises a ValueError, like what cannot be read; the others of its batch go on at once."""
    source, target = QUEUES[script][0], OUTPUTS[script]
    maintenance = MAINTENANCE.replace("order", "req_data" if script == "replier.py" else "order")
    changed = (WORK[script], maintenance + WORK[script])
    give(storage, script, order("bad"), *[order(number, customer="x") for number in range(3)])
    folder = edited(script, *SHORT, *changed)
    terminal = start_script(script, folder=folder, traceback="JSONDecodeError")
    terminal.expect_exact(f"moved to '{source}-poison': received 6 times.")
    assert take(storage, f"{source}-poison") == [order("bad")]
    assert len(take(storage, target, 3)) == 3
    wait_done(storage, script)
    _, *deliveries = kill_and_read(terminal).split("] Failed. The message will come back.")
    assert [text.count("eceived: {") for text in deliveries] == [4, 1, 1, 1, 1]
    assert [text.count(maintenance) for text in deliveries] == [1, 1, 1, 1, 0]
    assert "JSONDecodeError" in deliveries[0]
