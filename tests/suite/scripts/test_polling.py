"""How the pollers look into their queues: in batches while there is something, else every half second."""

import time

import pytest

from suite.helpers.orders import give, order, wait_done
from support.queues import wait_until
from support.topology import POLLERS

LOOKS = 6  # into an empty queue
POLL_INTERVAL = 0.5  # seconds between two of them, as in the scripts


@pytest.mark.parametrize("script", POLLERS)
def test_batch_of_8_is_one_receive(start, storage, behind, script):
    received = []

    def intercept(call, forward):
        response = forward()
        received.append(response[2].count(b"<MessageId>") if call.startswith("receive") else 0)
        return response

    give(storage, script, *map(order, range(20)))
    start(script, **behind(intercept))
    wait_done(storage, script)
    assert [count for count in received if count] == [8, 8, 4]


@pytest.mark.parametrize("script", POLLERS)
def test_idle_poller_looks_every_half_second_and_makes_no_other_call(start, behind, script):
    looks, others = [], []

    def intercept(call, forward):
        if call.startswith("receive"):
            looks.append(time.monotonic())
        elif looks:
            others.append(call)
        return forward()

    start(script, **behind(intercept))
    wait_until(lambda: len(looks) >= LOOKS)
    pauses = [after - before for before, after in zip(looks, looks[1:])]
    assert min(pauses) >= POLL_INTERVAL
    assert min(pauses) < 2 * POLL_INTERVAL  # the quickest: the machine may be busy
    assert others == []
