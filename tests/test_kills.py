"""A kill at each step of each poller, and work that outlasts the visibility timeout: no loss."""

import json
import threading
import uuid

import pytest
from conftest import NAME, POLLERS, depth, printed, queue_of, send, take, via, wait_until
from proxy import proxy

COUNT = 5  # messages in the batch
SHORT = ('"visibility_timeout": 30', '"visibility_timeout": 2')  # so that a test need not wait 30 s
FINAL = "Fully processed message received: "
# The calls of one message are a send (POST) and a delete. A kill comes before or after the n-th such
# call has been made; before the test goes on, the answer is held back.
STEPS = {
    "after receive": ("POST", 1, False),
    "after sending on": ("POST", 1, True),
    "before delete": ("DELETE", 1, False),
    "after delete": ("DELETE", 1, True),
    "in the middle of a batch, before sending on": ("POST", 3, False),
    "in the middle of a batch, after sending on": ("POST", 3, True),
    "in the middle of a batch, before delete": ("DELETE", 3, False),
    "in the middle of a batch, after delete": ("DELETE", 3, True),
}
QUEUES = {
    "filter_validate.py": ("queue-validate", "queue-enrich"),
    "filter_enrich.py": ("queue-enrich", "queue-finalize"),
    "final_consumer.py": ("queue-finalize", None),
    "replier.py": ("request-queue", f"reply-queue-{uuid.uuid4()}"),
}


def messages(target):
    """Return COUNT messages that are good for every poller."""
    return [
        json.dumps({"amount": n, "payload": "x", "reply_to": target, "correlation_id": str(n)})
        for n in range(1, COUNT + 1)
    ]


def number(text):
    """Return the number of a message or its result."""
    data = json.loads(text)
    return int(data["correlation_id"])


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


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("script", POLLERS)
def test_kill_loses_nothing_and_doubles_only_the_message_in_work(
    start, altered, storage, azurite, script, step
):
    source, target = QUEUES[script]
    method, count, after = STEPS[step]
    if script == "final_consumer.py" and method == "POST":
        pytest.skip("it sends nothing on")
    if target:
        queue_of(storage, target)
    send(storage, source, *messages(target))
    folder, terminals = altered(script, *SHORT), []
    intercept, killed = killer(lambda: terminals[0], method, count, after)
    with proxy(azurite, intercept) as port:
        terminals.append(start(script, folder=folder, **{NAME: via(port, storage)}))
        assert killed.wait(timeout=20)
    terminals.append(start(script, folder=folder))
    wait_until(lambda: depth(storage, source) == 0)
    if target:
        contents = take(storage, target, COUNT)
    else:
        lines = "".join(map(printed, terminals)).splitlines()
        contents = [line.split(FINAL)[1] for line in lines if FINAL in line]
    doubled = (method, after) in [("POST", True), ("DELETE", False)]
    assert sorted(map(number, contents)) == sorted([*range(1, COUNT + 1), *[count] * doubled])


@pytest.mark.parametrize("script", ["filter_validate.py", "filter_enrich.py"])
def test_work_that_outlasts_the_visibility_timeout_doubles_but_loses_nothing(
    start, altered, storage, script
):
    source, target = QUEUES[script]
    slow = (
        "    source.delete_message(msg)\n",
        "    time.sleep(1)\n    source.delete_message(msg)\n",
    )
    folder = altered(script, *SHORT, *slow)
    send(storage, source, *messages(target))
    terminals = [start(script, folder=folder) for _ in range(2)]
    wait_until(lambda: depth(storage, source) == 0, timeout=60)
    numbers = [number(text) for text in take(storage, target, COUNT)]
    assert set(numbers) == set(range(1, COUNT + 1))
    assert len(numbers) > COUNT
    assert [terminal.proc.poll() for terminal in terminals] == [None, None]
    line = "Visibility timeout exceeded, or the message is gone. It may be processed twice."
    assert line in "".join(map(printed, terminals))


def test_late_script_deletes_what_nobody_received_again(start, altered, storage):
    slow = "    time.sleep(4)\n    source.delete_message(msg)\n"
    folder = altered("filter_validate.py", *SHORT, "    source.delete_message(msg)\n", slow)
    send(storage, "queue-validate", '{"amount": 1}')
    terminal = start("filter_validate.py", folder=folder)
    terminal.expect_exact("Validation successful.")
    wait_until(lambda: queue_of(storage, "queue-validate").peek_messages())  # the 2 s have passed
    wait_until(lambda: depth(storage, "queue-validate") == 0)
    assert take(storage, "queue-enrich") == ['{"amount": 1}']
    assert printed(terminal).count("Visibility timeout exceeded") == 0
