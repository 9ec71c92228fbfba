"""How the pollers look into their queues: in batches, less often while idle, and at once again."""

import time

import pytest

from suite.helpers.orders import give, order, wait_done
from support.queues import wait_until
from support.topology import POLLERS

IDLE = 6  # seconds
MAX_WAIT = 0.5  # seconds between two looks of an idle poller


@pytest.mark.parametrize("script", POLLERS)
def test_batch_of_32_is_one_receive(start, storage, behind, script):
    received = []

    def intercept(call, forward):
        response = forward()
        received.append(response[2].count(b"<MessageId>") if call.startswith("receive") else 0)
        return response

    give(storage, script, *map(order, range(40)))
    start(script, **behind(intercept))
    wait_done(storage, script)
    assert [count for count in received if count] == [32, 8]


@pytest.mark.parametrize("script", POLLERS)
def test_idle_poller_looks_less_often_and_is_fast_again(start, storage, behind, script):
    calls, times = [], []

    def intercept(call, forward):
        calls.append(call.split()[0])
        times.append(time.monotonic())
        return forward()

    give(storage, script)
    start(script, **behind(intercept)).expect_exact("Waiting for")
    time.sleep(IDLE)  # what is counted is what happens in this time
    assert calls.count("receive") <= 5 + IDLE / MAX_WAIT  # five while the wait doubles
    assert MAX_WAIT <= times[-1] - times[-2] < 3 * MAX_WAIT
    give(storage, script, order(1))
    wait_until(lambda: "delete" in calls)
    end = calls.index("delete")
    wait_until(lambda: calls[end + 1 : end + 4] == ["receive"] * 3)
    assert times[end + 2] - times[end + 1] < MAX_WAIT
