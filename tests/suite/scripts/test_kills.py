"""A kill at each step of each poller, and work that outlasts the visibility timeout: no loss."""

import pytest

from suite.helpers.copies import SHORT
from suite.helpers.orders import arrived, give, numbers, order, wait_done
from suite.helpers.proxy import Recorder
from suite.helpers.terminals import kill_and_read
from support.queues import poisoned, send, take
from support.topology import READY, TIMEOUT

COUNT = 5  # messages in the batch


@pytest.mark.parametrize(
    "script, call, count, after",
    [
        *[("filter_validate.py", "send", 1, after) for after in (False, True)],
        *[("filter_validate.py", "delete", 3, after) for after in (False, True)],
        ("final_consumer.py", "delete", 3, False),
        ("replier.py", "delete", 3, False),
    ],
)
def test_kill_loses_nothing_and_doubles_one(
    start_script, edited, storage, via_proxy, script, call, count, after
):
    """It comes before or after the count-th of these calls; a message needs a send and a delete."""

    def kill(forward):
        if after:
            forward()
        first.proc.kill()
        first.proc.wait()

    give(storage, script, *map(order, range(1, COUNT + 1)))
    folder = edited(script, *SHORT)
    first = start_script(script, folder=folder, **via_proxy(Recorder(call, kill, first=count)))
    first.proc.wait(timeout=TIMEOUT)
    second = start_script(script, folder=folder)
    wait_done(storage, script)
    found = arrived(script, storage, map(kill_and_read, [first, second]), COUNT)
    wanted = list(range(1, COUNT + 1))
    if (call == "send") == after:
        wanted.insert(count, count)  # sent and not deleted: it comes twice
    assert sorted(found) == wanted


def test_work_beyond_the_visibility_timeout_is_doubled_but_not_lost(start_script, edited, storage):
    """Two copies, whose work on a batch takes 5 s of 2."""
    work = "    if validate(order):\n"
    folder = edited("filter_validate.py", *SHORT, work, f"    time.sleep(1)\n{work}")
    terminals = [start_script("filter_validate.py", folder=folder) for _ in range(2)]
    for terminal in terminals:
        terminal.expect_exact(READY["filter_validate.py"])
    send(storage, "queue-validate", *map(order, range(COUNT)))
    wait_done(storage, "filter_validate.py")
    found = numbers(take(storage, "queue-enrich", COUNT))
    assert set(found + numbers(poisoned(storage))) == set(range(COUNT))
    assert len(found) > COUNT
    assert "Storage error: The specified" in "".join(map(kill_and_read, terminals))


@pytest.mark.slow
def test_order_that_ends_the_process_poisons_at_most_7_good_ones(start_script, edited, storage):
    """Whatever is in its batch each time; the others arrive."""
    ends = "    if order['order_id'] == 'ORD-bad':\n        os._exit(1)\n    if validate(order):\n"
    changes = "    if validate(order):\n", ends, "TIMEOUT = 30", "TIMEOUT = 1"
    folder = edited("filter_validate.py", *changes)
    good = list(map(order, range(39)))
    send(storage, "queue-validate", *good[:20], order("bad"), *good[20:])
    for _ in range(5):  # MAX_DEQUEUE_COUNT
        assert start_script("filter_validate.py", folder=folder).proc.wait(timeout=60) == 1
    start_script("filter_validate.py", folder=folder)
    wait_done(storage, "filter_validate.py")
    poison = take(storage, "queue-validate-poison")
    assert order("bad") in poison
    assert len(poison) <= 1 + 7
    assert set(take(storage, "queue-enrich", 32)) | set(poison) == {*good, order("bad")}
