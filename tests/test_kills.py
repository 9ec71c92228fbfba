"""A kill at each step of each poller, and work that outlasts the visibility timeout: no loss."""

import threading

import pytest

from support.orders import OUTPUTS, arrived, numbers, order
from support.proxy import proxy
from support.queues import depth, queue_of, send, take, via, wait_until
from support.terminals import printed
from support.topology import NAME, POLLERS, QUEUES

COUNT = 5  # messages in the batch
SHORT = ("VISIBILITY_TIMEOUT = 30", "VISIBILITY_TIMEOUT = 2")  # so that no test waits 30 s
# A message's calls are a send (POST) and a delete; the kill comes before or after the n-th of them.
STEPS = {
    "before the first send": ("POST", 1, False),
    "after the first send": ("POST", 1, True),
    "before a delete in the middle": ("DELETE", 3, False),
    "after a delete in the middle": ("DELETE", 3, True),
}


def killer(process_of, method, count, after):
    """Return (intercept, event): it kills the process at this step, and sets the event."""
    killed, calls, lock = threading.Event(), [], threading.Lock()

    def intercept(called, path, forward):
        if called == method and "/messages" in path:
            with lock:
                calls.append(path)
                if len(calls) == count:
                    if after:
                        forward()
                    process_of().proc.kill()
                    process_of().proc.wait()
                    killed.set()
                    return None
        return None if killed.is_set() else forward()

    return intercept, killed


@pytest.mark.parametrize(
    "script, step",
    [
        (script, step)
        for script in POLLERS
        for step in STEPS
        if script == "filter_validate.py" or step.startswith("before")
        if OUTPUTS[script] or "send" not in step
    ],
)
def test_kill_loses_nothing_and_doubles_only_the_message_in_work(
    start, altered, storage, azurite, script, step
):
    source, (method, count, after) = QUEUES[script][0], STEPS[step]
    if OUTPUTS[script]:
        queue_of(storage, OUTPUTS[script])
    send(storage, source, *map(order, range(1, COUNT + 1)))
    folder, terminals = altered(script, *SHORT), []
    intercept, killed = killer(lambda: terminals[0], method, count, after)
    with proxy(azurite, intercept) as port:
        terminals.append(start(script, folder=folder, **{NAME: via(port, storage)}))
        assert killed.wait(timeout=20)
    terminals.append(start(script, folder=folder))
    wait_until(lambda: depth(storage, source) == 0)
    found = arrived(script, storage, map(printed, terminals), COUNT)
    doubled = (method, after) in [("POST", True), ("DELETE", False)]
    assert sorted(found) == sorted([*range(1, COUNT + 1), *[count] * doubled])


def test_two_copies_with_work_beyond_the_visibility_timeout_double_but_lose_nothing(
    start, altered, storage
):
    slow = ("    if validate(order):\n", "    time.sleep(1)\n    if validate(order):\n")
    folder = altered("filter_validate.py", *SHORT, *slow)
    send(storage, "queue-validate", *map(order, range(COUNT)))
    terminals = [start("filter_validate.py", folder=folder) for _ in range(2)]
    wait_until(lambda: depth(storage, "queue-validate") == 0, timeout=60)
    found = numbers(take(storage, "queue-enrich", COUNT))
    assert set(found) == set(range(COUNT))
    assert len(found) > COUNT
    assert "Storage error: The specified" in "".join(map(printed, terminals))


def test_late_script_deletes_what_nobody_received_again(start, altered, storage):
    slow = ("    if validate(order):\n", "    time.sleep(4)\n    if validate(order):\n")
    start("filter_validate.py", folder=altered("filter_validate.py", *SHORT, *slow))
    send(storage, "queue-validate", order(1))
    queue = queue_of(storage, "queue-validate")
    wait_until(lambda: not queue.peek_messages())  # received
    wait_until(queue.peek_messages)  # the 2 s have passed
    wait_until(lambda: depth(storage, "queue-validate") == 0)
    assert take(storage, "queue-enrich") == [order(1)]


@pytest.mark.parametrize("script", POLLERS)
def test_two_copies_share_the_messages(start, storage, script):
    source, count = QUEUES[script][0], 100
    if OUTPUTS[script]:
        queue_of(storage, OUTPUTS[script])
    terminals = [start(script) for _ in range(2)]
    for terminal in terminals:
        terminal.expect_exact("Waiting for")
    send(storage, source, *map(order, range(count)))
    wait_until(lambda: depth(storage, source) == 0, timeout=60)
    texts = [printed(terminal) for terminal in terminals]
    assert sorted(arrived(script, storage, texts, count)) == list(range(count))
    assert all("ORD-" in text for text in texts)
