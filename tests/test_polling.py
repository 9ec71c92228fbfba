"""How the pollers look into their queues: in batches, less often while idle, and at once again."""

import time

import pytest

from support.orders import OUTPUTS, order
from support.proxy import proxy
from support.queues import depth, queue_of, send, via, wait_until
from support.topology import NAME, POLLERS, QUEUES

IDLE = 6  # seconds
MAX_WAIT = 0.5  # seconds between two looks of an idle poller


@pytest.mark.parametrize("script", POLLERS)
def test_batch_of_32_is_one_receive(start, storage, azurite, script):
    source, receives = QUEUES[script][0], []

    def intercept(method, path, forward):
        response = forward()
        if method == "GET" and b"<MessageId>" in response[2]:
            receives.append(response[2].count(b"<MessageId>"))
        return response

    if OUTPUTS[script]:
        queue_of(storage, OUTPUTS[script])
    send(storage, source, *map(order, range(40)))
    with proxy(azurite, intercept) as port:
        start(script, **{NAME: via(port, storage)})
        wait_until(lambda: depth(storage, source) == 0)
    assert receives == [32, 8]


@pytest.mark.parametrize("script", POLLERS)
def test_idle_poller_looks_less_often_and_is_fast_again(start, storage, azurite, script):
    source, calls = QUEUES[script][0], []

    def intercept(method, path, forward):
        calls.append((time.monotonic(), method))
        return forward()

    if OUTPUTS[script]:
        queue_of(storage, OUTPUTS[script])
    with proxy(azurite, intercept) as port:
        start(script, **{NAME: via(port, storage)}).expect_exact("Waiting for")
        time.sleep(IDLE)  # what is counted is what happens in this time
        looks = [when for when, method in calls if method == "GET"]
        assert len(looks) <= 5 + IDLE / MAX_WAIT  # five while the wait doubles
        assert MAX_WAIT <= looks[-1] - looks[-2] < 3 * MAX_WAIT
        send(storage, source, order(1))
        wait_until(lambda: "DELETE" in [method for _, method in calls])
        wait_until(lambda: [method for _, method in calls[-3:]] == ["GET"] * 3)
    after = [when for when, _ in calls]
    end = [method for _, method in calls].index("DELETE")
    assert after[end + 2] - after[end + 1] < MAX_WAIT
