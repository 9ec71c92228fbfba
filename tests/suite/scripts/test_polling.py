"""How the scripts look into their queues: in batches, and at an interval while there is nothing."""

import statistics

import pytest

from suite.helpers.orders import give, order, wait_done
from suite.helpers.proxy import Recorder
from support.queues import queue_names, wait_until
from support.topology import POLLERS, QUEUES, READY


def gaps(times):
    """Return the seconds between these moments."""
    return [end - begin for begin, end in zip(times, times[1:])]


@pytest.mark.parametrize("script", POLLERS)
def test_batch_of_8_is_one_receive(start_script, storage, via_proxy, script):
    recorder = Recorder()
    give(storage, script, *map(order, range(20)))
    start_script(script, **via_proxy(recorder))
    wait_done(storage, script)
    assert [count for count in recorder.messages if count] == [8, 8, 4]


@pytest.mark.parametrize("script", [*POLLERS, "requestor.py"])
def test_idle_script_looks_at_its_interval(start_script, storage, via_proxy, script):
    """And it makes no other call. So a reply comes in 0.4 s, an order in 1 s (see the benchmark)."""
    recorder, interval = Recorder(), 0.1 if script == "requestor.py" else 0.5  # seconds
    start_script(script, **via_proxy(recorder)).expect_exact(READY.get(script, "Waiting for reply"))
    if script in POLLERS:
        poison = set() if script == "final_consumer.py" else {f"{QUEUES[script][0]}-poison"}
        assert set(queue_names(storage)) == {*QUEUES[script], *poison} - {None}
    begin = len(recorder.times)
    wait_until(lambda: len(recorder.times) > begin + 7, what="seven looks")
    assert {call.split()[0] for call in recorder.calls[begin:]} == {"receive"}
    found = gaps(recorder.times[begin:])
    assert statistics.mean(found) > 0.9 * interval
    assert min(found) < 3 * interval  # on a loaded machine, some may be late


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
