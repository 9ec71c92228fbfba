"""Faults of single calls, chosen by kind and queue: each is said, and no order is lost by it."""

import pytest

from suite.helpers.copies import SHORT
from suite.helpers.orders import REPLY_QUEUE, arrived, give, numbers, order, wait_depth, wait_done
from suite.helpers.proxy import Recorder, error, lose_answer
from suite.helpers.terminals import kill_and_read
from support.queues import queue_names, send, take
from support.topology import ONE_SHOTS, QUEUES

COUNT = 3  # good orders
FAILED = "Storage error: "
FAULTS = {
    "503": lambda forward: error(503, "ServerBusy"),
    "answer lost": lose_answer,
    "page of a company proxy": lambda forward: (502, {"Content-Type": "text/html"}, b"Sorry"),
}


@pytest.mark.parametrize(
    "script, call, fault",
    [
        *[("filter_validate.py", "send queue-enrich", fault) for fault in FAULTS],
        ("filter_validate.py", "create queue-enrich", "503"),
        ("filter_validate.py", "receive queue-validate", "503"),
        ("filter_validate.py", "receive queue-validate", "answer lost"),
        ("filter_validate.py", "delete queue-validate", "answer lost"),
        ("filter_validate.py", "send queue-validate-poison", "503"),
        ("filter_enrich.py", "send queue-finalize", "answer lost"),
        ("filter_enrich.py", "send queue-enrich-poison", "503"),
        ("final_consumer.py", "receive queue-finalize", "503"),
        ("final_consumer.py", "delete queue-finalize", "503"),
        ("replier.py", f"send {REPLY_QUEUE}", "503"),
        ("replier.py", "send request-queue-poison", "503"),
        ("replier.py", "delete request-queue", "answer lost"),
    ],
)
def test_fault_is_said_and_nothing_is_lost(
    start_script, edited, storage, via_proxy, script, call, fault
):
    """Each fault comes twice, for the SDK tries twice."""
    poison = ["bad"] if call.endswith("-poison") else []
    give(storage, script, *poison, *map(order, range(COUNT)))
    recorder = Recorder(call, FAULTS[fault], times=2)
    logs = "ParseError|DecodeError" if fault.startswith("page") else None  # the SDK's own
    folder = edited(script, *SHORT)
    terminal = start_script(script, folder=folder, traceback=logs, **via_proxy(recorder))
    terminal.expect_exact(FAILED)
    wait_done(storage, script)
    assert recorder.hits == 2
    assert terminal.proc.poll() is None
    text = kill_and_read(terminal)
    assert set(arrived(script, storage, [text], COUNT)) == set(range(COUNT))
    if poison:  # said when it is there, not before
        assert set(take(storage, f"{QUEUES[script][0]}-poison")) == {"bad"}
        assert text.count("Bad message moved") == 1


def test_refused_delete_does_not_hold_up_the_others(start_script, storage, via_proxy):
    """With the visibility timeout as it is: who waits for it fails."""
    recorder = Recorder("delete queue-validate", lambda forward: error(404, "MessageNotFound"))
    send(storage, "queue-validate", *map(order, range(COUNT)))
    start_script("filter_validate.py", **via_proxy(recorder))
    assert numbers(take(storage, "queue-enrich", COUNT)) == list(range(COUNT))
    wait_depth(storage, "queue-validate", 1)
    sent = [at for at, call in zip(recorder.times, recorder.calls) if call == "send queue-enrich"]
    assert sent[-1] - sent[0] < 25


def test_result_that_does_not_fit_does_not_hold_up_the_others(start_script, edited, storage):
    big = order(0, text="x" * (65536 - len(order(0, text=""))))  # as much as a message holds
    send(storage, "queue-enrich", big, order(1), order(2))
    terminal = start_script("filter_enrich.py", folder=edited("filter_enrich.py", *SHORT))
    assert numbers(take(storage, "queue-finalize", 2)) == [1, 2]
    assert take(storage, "queue-enrich-poison") == [big]
    text = kill_and_read(terminal)
    assert (text.count(FAILED), text.count("Received: ")) == (5, 8)


@pytest.mark.parametrize("kind", ["create", "send"])
@pytest.mark.parametrize("script", ONE_SHOTS)
def test_one_shot_survives_a_fault(start_script, run_script, storage, via_proxy, script, kind):
    """The answer to one call is lost; what was sent then may be there twice."""
    target = QUEUES[script][1]
    recorder = Recorder(f"{kind} {target}", lose_answer)
    start_script("replier.py")
    result = run_script(script, **via_proxy(recorder))
    assert (result.returncode, result.err, recorder.hits) == (0, "", 1)
    if script == "pipe_producer.py":
        assert len(take(storage, target)) == (2 if kind == "send" else 1)
    assert not any(name.startswith("reply-") for name in queue_names(storage))
