"""How the pollers look into their queues: in batches, and at an interval while there is nothing."""

import statistics

import pytest

from suite.helpers.orders import give, order, wait_done
from suite.helpers.proxy import Recorder
from support.queues import wait_until
from support.topology import POLLERS, QUEUES


def gaps(times):
    """Return the seconds between these moments."""
    return [end - begin for begin, end in zip(times, times[1:])]


def assert_only_looks(recorder, interval):
    """Assert that from now on the script only looks into a queue, at this interval (some may be late)."""
    begin = len(recorder.calls)
    wait_until(lambda: len(recorder.calls) > begin + 7, what="seven looks")
    (call,) = set(recorder.calls[begin:])
    assert call.startswith("receive ")
    found = gaps(recorder.times[begin:])
    assert statistics.mean(found) > 0.9 * interval
    assert min(found) < 3 * interval


@pytest.mark.parametrize("script", POLLERS)
def test_poller_makes_its_queues_takes_batches_of_8_and_looks_every_half_second(
    start_script, storage, via_proxy, script
):
    recorder = Recorder()
    give(storage, script, *map(order, range(20)))
    start_script(script, **via_proxy(recorder))
    wait_done(storage, script)
    source, target = QUEUES[script]
    poison = None if script == "final_consumer.py" else f"{source}-poison"
    created = {call.split()[1] for call in recorder.calls if call.startswith("create")}
    assert created == {source, target, poison} - {None}
    assert [count for count in recorder.messages if count] == [8, 8, 4]
    assert_only_looks(recorder, interval=0.5)


def test_requestor_looks_ten_times_a_second(start_script, via_proxy):
    recorder = Recorder()
    requestor = start_script("requestor.py", **via_proxy(recorder))
    requestor.expect_exact("[Requestor] Waiting for reply...")
    assert_only_looks(recorder, interval=0.1)


def test_poller_tries_twice_within_3_s_and_again_2_s_later(start_script, via_proxy):
    """So it goes on within 5 s when storage is back. The server closes each connection at once."""
    recorder = Recorder("create", lambda forward: None, times=100)
    start_script("filter_validate.py", **via_proxy(recorder))
    wait_until(lambda: len(recorder.times) > 10, what="ten calls")
    retries, restarts = gaps(recorder.times)[:10:2], gaps(recorder.times)[1:10:2]
    assert max(retries) > 0.3  # at random, for others may try, too
    assert statistics.median(retries) < 4
    assert statistics.median(restarts) > 1.5
    assert min(restarts) < 3
