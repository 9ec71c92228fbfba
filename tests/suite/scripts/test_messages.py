"""What becomes of each kind of message; what the functions alone do, test_work.py sees."""

import pytest

from suite.helpers.copies import SHORT
from suite.helpers.orders import OUTPUTS, first_message, give, order, wait_done
from suite.helpers.terminals import kill_and_read
from support.queues import depth, ensure_queue, send, take
from support.topology import QUEUES

BAD = {"hello": "Expecting value", "[1]": "not a JSON object"}  # message: the reason that is said
WORK = {  # script: where a mistake of the reader's own goes
    "filter_validate.py": "    if validate(order):\n",
    "filter_enrich.py": "    enrich(order)\n",
    "replier.py": "    reply = make_reply(req_data)\n",
}
MAINTENANCE = """\
    if "ORD-bad" in msg.content:
        sys.stderr = open(os.devnull, "w")  # what goes there is not with the script's lines
        json.loads("<p>Maintenance</p>")
"""


def test_valid_order_goes_on_byte_for_byte_and_another_is_discarded_with_a_line(
    start_script, storage
):
    text = '{"b": 2,\r\n  "amount" : 1.50, "amount": 2.0, "raw": "\\u5c71 <&>\U0001f375" }  '
    send(storage, "queue-validate", '{"order_id": "no amount"}', text)
    terminal = start_script("filter_validate.py")
    message = first_message(storage, "queue-enrich")
    assert message.content == text
    assert message.expires_on.year == 9999  # never
    wait_done(storage, "filter_validate.py")
    assert "\n[Filter A] Validation failed. Discarding message.\n" in kill_and_read(terminal)
    assert depth(storage, "queue-enrich") == 1
    assert depth(storage, "queue-validate-poison") == 0


def test_enriched_order_is_written_anew_stays_readable_and_never_expires(start_script, storage):
    send(storage, "queue-enrich", '{"amount":  1.10, "name": "\\u5c71\u7530\u3000\u592a\u90ce"}')
    start_script("filter_enrich.py")
    message = first_message(storage, "queue-finalize")
    same = '{"amount": 1.1, "name": "\u5c71\u7530\u3000\u592a\u90ce", "processed_at": "'
    assert message.content.startswith(same)
    assert message.expires_on.year == 9999


@pytest.mark.parametrize("script", WORK)
def test_bad_message_is_poison_at_once_and_failed_work_at_the_sixth_delivery(
    start_script, edited, storage, script
):
    """The work raises a ValueError, like what cannot be read; the others of its batch go on at once."""
    poison = f"{QUEUES[script][0]}-poison"
    give(storage, script, *BAD, order("bad"), *map(order, range(3)))
    folder = edited(script, *SHORT, WORK[script], MAINTENANCE + WORK[script])
    terminal = start_script(script, folder=folder, traceback="JSONDecodeError")
    terminal.expect_exact(f"Bad message moved to '{poison}': received 6 times.")
    messages = ensure_queue(storage, poison).peek_messages(32)
    assert [message.content for message in messages] == [*BAD, order("bad")]
    assert {message.expires_on.year for message in messages} == {9999}
    assert len(take(storage, OUTPUTS[script], 3)) == 3
    wait_done(storage, script)
    texts = kill_and_read(terminal).split("] Failed. The message will come back.")
    for reason in BAD.values():
        assert f"Bad message moved to '{poison}': {reason}" in texts[0]
    assert [text.count("eceived: ") for text in texts] == [3, 4, 1, 1, 1, 1]
    assert [text.count("<p>Maintenance</p>") for text in texts] == [1, 1, 1, 1, 1, 0]
