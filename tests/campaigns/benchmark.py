"""How fast are the scripts? Measure them against a private Azurite, and print a line for each figure.

What is compared is measured in turns, for a virtual machine is now faster, now slower; the ratio is
the median of the pairs' ratios. The exit code is 1 if a goal is missed, or an order lost or doubled.
"""

import argparse
import collections
import contextlib
import itertools
import json
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for the support package
from support import emulator, environment, queues
from support.orders import order_ids
from support.proxy import proxy
from support.terminals import running
from support.topology import POLLERS, QUEUES

ROUND_TRIP = 0.02  # seconds, added by a proxy, as the way to a real account does
COPIES = (1, 2, 4)
MAX_WAIT = 0.5  # seconds between two looks of an idle poller, as in the scripts
TIMEOUT = 600  # seconds until a measurement is given up
PAUSE = 0.005  # seconds between two looks at what is left
FILTER = "filter_validate.py"
READY = "Waiting for"  # what each poller prints then
# What the filter is compared with: a loop that does nothing but to receive, send and delete.
BARE = """
import contextlib, os, time
from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import QueueServiceClient
from dotenv import load_dotenv
service = QueueServiceClient.from_connection_string(os.environ["AZURE_STORAGE_CONNECTION_STRING"])
names = ("queue-validate", "queue-enrich", "queue-validate-poison")
source, target, _ = queues = [service.get_queue_client(name) for name in names]
for queue in queues:
    with contextlib.suppress(ResourceExistsError):
        queue.create_queue()
print("Waiting for messages...", flush=True)
while True:
    for msg in source.receive_messages(messages_per_page=32, visibility_timeout=30):
        target.send_message(msg.content)
        source.delete_message(msg)
    time.sleep(0.05)
"""


def seconds(process, text, began):
    """Return the seconds since began (a time.perf_counter()) once the process prints the text."""
    process.expect_exact(text)
    return time.perf_counter() - began


def latency(connection, idle):
    """Return the seconds that a reply, and an order through the pipeline, take after all was idle.

    The pollers are new each time, and start at random moments: else each would look at its queue about
    as long after the one before it, every time.
    """
    with contextlib.ExitStack() as stack:
        pollers = {}
        for script in POLLERS:
            pollers[script] = stack.enter_context(running(script, connection, READY))
            time.sleep(random.uniform(0, MAX_WAIT))
        time.sleep(idle)
        with running("requestor.py", connection, "Waiting for reply") as requestor:
            reply = seconds(requestor, "Reply received", time.perf_counter())
        with running("pipe_producer.py", connection, "-> Sent to"):
            began, consumer = time.perf_counter(), pollers["final_consumer.py"]
            return reply, seconds(consumer, "Fully processed", began)


def rate(storage, program, copies, count):
    """Return the orders/s of so many processes of a program; exit if an order is lost or doubled.

    They are suspended while the orders are sent. The clock starts with the first order that has left,
    for a poller may be in its wait.
    """
    import psutil

    orders = [json.dumps({"order_id": n, "amount": n + 1}) for n in range(count)]
    source, target = (queues.queue_of(storage, name) for name in QUEUES[FILTER])

    def left():
        return source.get_queue_properties().approximate_message_count

    with contextlib.ExitStack() as stack:
        started = [stack.enter_context(program()) for _ in range(copies)]
        processes = [psutil.Process(process.pid) for process in started]
        for process in processes:
            process.suspend()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(source.send_message, orders))
        for process in processes:
            process.resume()
        queues.wait_until(lambda: left() < count, TIMEOUT, PAUSE)
        began, rest = time.perf_counter(), left()
        queues.wait_until(lambda: not left(), TIMEOUT, PAUSE)
        took = time.perf_counter() - began
    found = sorted(order_ids(queues.take(storage, target.queue_name, count)))
    if found != list(range(count)):
        raise RuntimeError(f"{count} orders became {len(found)}, {len(set(found))} different ones.")
    return rest / took


def idle_calls(connection, calls, idle):
    """Return the calls/h of an idle filter; calls: how many the proxy has seen so far, by queue."""
    name = QUEUES[FILTER][0]
    with running(FILTER, connection, READY):
        before = calls[name]
        queues.wait_until(lambda: calls[name] > before + 15, TIMEOUT)  # it waits MAX_WAIT by then
        before = calls[name]
        time.sleep(idle)
        return 3600 * (calls[name] - before) / idle


def start(program):
    """Return the seconds that a program takes to start, and its memory then, in MiB."""
    import psutil

    began = time.perf_counter()
    with program() as process:
        took = time.perf_counter() - began
        return took, psutil.Process(process.pid).memory_info().rss / 2**20


def report(what, unit, values, bare=None, least=0, most=float("inf")):
    """Print a line of the table; return whether the goal is reached.

    The goal is for the ratio to what was measured of the bare loop, if any, else for the median.
    """
    figure = statistics.median(values)
    line = f"{what:<26}{figure:>9.3f} ({min(values):.3f} to {max(values):.3f}) {unit}"
    if bare:
        figure = statistics.median(a / b for a, b in zip(values, bare))
        line += f", {figure:.2f} of the bare loop's {statistics.median(bare):.3f}"
    reached = least <= figure <= most
    print(line + ("" if reached else f"   MISSED: {least} to {most}"), flush=True)
    return reached


def measure(port, folder, options):
    """Measure and print all figures; yield of each that has a goal whether it is reached."""
    storage, calls = queues.account(emulator.connection_string(port)), collections.Counter()
    rounds, near = options.rounds, storage.connection
    Path(folder, "bare.py").write_text(BARE)
    programs = [
        partial(running, FILTER, near, READY),
        partial(running, "bare.py", near, READY, folder=folder),
    ]

    def in_turns(function):
        return zip(*[[function(program) for program in programs] for _ in range(rounds)])

    def intercept(method, path, forward):
        calls[path.split("/")[2].split("?")[0]] += 1
        time.sleep(ROUND_TRIP)
        return forward()

    replies, orders = zip(*[latency(near, options.seconds) for _ in range(rounds)])
    yield report("reply, idle before", "s", replies, most=0.4)
    yield report("pipeline, idle before", "s", orders, most=1.0)
    ours, bare = in_turns(lambda program: rate(storage, program, 1, options.orders))
    yield report("a filter", "orders/s", ours, bare, least=0.9)
    with proxy(port, intercept) as far_port:
        far = queues.via(far_port, storage)
        rates = collections.defaultdict(list)
        for _, copies in itertools.product(range(rounds), COPIES):
            program = partial(running, FILTER, far, READY)
            rates[copies].append(rate(storage, program, copies, options.orders * copies))
        for copies in COPIES:
            report(f"{copies} filter(s), 20 ms away", "orders/s", rates[copies])
        report("an idle filter", "calls/h", [idle_calls(far, calls, options.seconds)])
    ours, bare = (list(zip(*pairs)) for pairs in in_turns(start))
    yield report("start of a filter", "s", ours[0], bare[0], most=1.1)
    yield report("memory of a filter", "MiB", ours[1], bare[1], most=1.1)


def main():
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10, metavar="N", help="each measurement")
    parser.add_argument("--orders", type=int, default=128, metavar="N", help="at a time")
    parser.add_argument("--seconds", type=float, default=10, metavar="S", help="idle")
    options = parser.parse_args()
    version = platform.python_version()
    print(f"{platform.system()}, {os.cpu_count()} cores, Python {version}: median (least to most)")
    with emulator.running() as port, tempfile.TemporaryDirectory() as folder:
        return int(not all(list(measure(port, folder, options))))


if __name__ == "__main__":
    environment.run(main)
