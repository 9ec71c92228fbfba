"""How fast are the scripts? Measure them against a private Azurite, and print one table.

python tests/campaigns/benchmark.py [--rounds N] [--orders N] [--seconds S]

What is compared is measured in turns, for a virtual machine is now faster, now slower. The exit code
is 1 if a goal is missed, or if an order is lost or doubled.
"""

import argparse
import collections
import contextlib
import json
import os
import platform
import random
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from subprocess import PIPE

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for the support package
from support import emulator, environment, queues, scripts
from support.ledger import order_id
from support.proxy import proxy
from support.topology import POLLERS, QUEUES

ROUND_TRIP = 0.02  # seconds, added by a proxy, as the way to a real account does
COPIES = (1, 2, 4)
MAX_WAIT = 0.5  # seconds between two looks of an idle poller, as in the scripts
TIMEOUT = 600  # seconds until a measurement is given up
FILTER = "filter_validate.py"
BARE_QUEUES = ("bare-source", "bare-target")
# What a script is compared with: BATCH QUEUE ... imports the same packages, creates the queues, and
# moves the messages of the first into the second, BATCH a call; with BATCH 0 it does nothing then.
BARE = """
import contextlib, os, sys, time
from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import QueueServiceClient
from dotenv import load_dotenv
service = QueueServiceClient.from_connection_string(os.environ["AZURE_STORAGE_CONNECTION_STRING"])
batch, queues = int(sys.argv[1]), [service.get_queue_client(name) for name in sys.argv[2:]]
for queue in queues:
    with contextlib.suppress(ResourceExistsError):
        queue.create_queue()
print("Waiting for messages...", flush=True)
while batch:
    for msg in queues[0].receive_messages(messages_per_page=batch, visibility_timeout=30):
        queues[1].send_message(msg.content)
        queues[0].delete_message(msg)
time.sleep(3600)
"""
ROWS = [  # what, its format, what it is compared with, goal: which figure must be how
    ("reply, idle before", "{:.2f} s", None, "median <= 0.4"),
    ("pipeline, idle before", "{:.2f} s", None, "median <= 1.0"),
    ("a filter", "{:.0f} orders/s", "bare loop", "ratio >= 0.9"),
    *(
        (f"copies: {number}, 20 ms away", "{:.0f} orders/s", "copies: 1, 20 ms away", "")
        for number in COPIES[1:]
    ),
    ("calls of an idle filter", "{:.0f} calls/h", None, ""),
    ("start of a filter", "{:.3f} s", "bare start", "ratio <= 1.1"),
    ("memory of a filter", "{:.1f} MiB", "bare memory", "ratio <= 1.1"),
]
HEAD = ["what", "median", "least", "most", "compared with", "ratio", "goal", "reached"]


@contextlib.contextmanager
def running(script, *arguments, until="Waiting for", **options):
    """Yield a process once it has printed until, with .began and (seconds, line) in .lines."""
    began = time.perf_counter()
    process = scripts.start(script, *arguments, stdout=PIPE, **options)
    process.began, process.lines = began, []

    def read():
        for line in process.stdout:
            process.lines.append((time.perf_counter(), line))

    threading.Thread(target=read, daemon=True).start()
    try:
        queues.wait_until(lambda: moment(process, until), TIMEOUT)
        yield process
    finally:
        process.kill()
        process.wait()


def moment(process, text):
    """Return when the process printed a line with the text for the last time, or None."""
    times = [at for at, line in process.lines if text in line]
    return times[-1] if times else None


def orders(count):
    """Return the texts of count orders."""
    return [json.dumps({"order_id": f"ORD-{n}", "amount": n + 1}) for n in range(count)]


def reply_time(connection):
    """Return the seconds from the requestor's "Waiting for reply..." to its "Reply received"."""
    with running("requestor.py", connection=connection, until="Reply received") as requestor:
        return moment(requestor, "Reply received") - moment(requestor, "Waiting for reply")


def passage(connection, consumer):
    """Return the seconds from the producer's "-> Sent to" to the consumer's "Fully processed"."""
    with running("pipe_producer.py", connection=connection, until="-> Sent to") as producer:
        sent = moment(producer, "-> Sent to")
        arrived = partial(moment, consumer, "Fully processed")
        queues.wait_until(lambda: (arrived() or 0) > sent, TIMEOUT)
        return arrived() - sent


def latency(connection, count, idle, values):
    """Measure count times how long a request and an order take after everything was idle.

    Before each, every poller goes on at a random moment: else each would look at its queue about as
    long after the one before it, every time.
    """
    import psutil

    with contextlib.ExitStack() as stack:
        pollers = {
            script: stack.enter_context(running(script, connection=connection))
            for script in POLLERS
        }
        processes = [psutil.Process(process.pid) for process in pollers.values()]
        for _ in range(count):
            for process in processes:
                process.suspend()
            for process in random.sample(processes, len(processes)):
                time.sleep(random.uniform(0, MAX_WAIT))
                process.resume()
            time.sleep(random.uniform(idle / 2, idle))
            values["reply, idle before"].append(reply_time(connection))
            took = passage(connection, pollers["final_consumer.py"])
            values["pipeline, idle before"].append(took)


def rate(storage, program, number, names, count):
    """Return the orders/s of so many processes of a program; exit if an order is lost or doubled.

    names: the queues that the orders are moved from and to. The processes are suspended while the
    orders are sent. The clock starts with the first that has left: a poller may be in its wait.
    """
    import psutil

    source = queues.queue_of(storage, names[0])

    def left():
        return source.get_queue_properties().approximate_message_count

    with contextlib.ExitStack() as stack:
        processes = []
        for _ in range(number):
            process = stack.enter_context(program())
            processes.append(psutil.Process(process.pid))
            processes[-1].suspend()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(source.send_message, orders(count)))
        for process in processes:
            process.resume()
        queues.wait_until(lambda: left() < count, TIMEOUT)
        began, rest = time.perf_counter(), left()
        queues.wait_until(lambda: not left(), TIMEOUT)
        seconds = time.perf_counter() - began
    found = sorted(map(order_id, queues.take(storage, names[1], count)))
    if found != sorted(map(order_id, orders(count))):
        sys.exit(f"{count} orders became {len(found)}, {len(set(found))} of them different.")
    return rest / seconds


def throughput(storage, bare, rounds, count, values):
    """Let the filter and the bare loop move orders, in turns."""
    connection = storage.connection
    for _ in range(rounds):
        program = partial(running, FILTER, connection=connection)
        values["a filter"].append(rate(storage, program, 1, QUEUES[FILTER], count))
        program = partial(bare, 32, *BARE_QUEUES, connection=connection)
        values["bare loop"].append(rate(storage, program, 1, BARE_QUEUES, count))


def copies(storage, far, rounds, count, values):
    """Let copies of the filter move orders over a long way, count for each copy; far: by a proxy."""
    program = partial(running, FILTER, connection=far)
    for _ in range(rounds):
        for number in COPIES:
            found = rate(storage, program, number, QUEUES[FILTER], count * number)
            values[f"copies: {number}, 20 ms away"].append(found)


def idle_calls(far, calls, seconds, values):
    """Count the calls of an idle filter; calls: how many the proxy has seen so far, by queue."""
    name = QUEUES[FILTER][0]
    with running(FILTER, connection=far):
        before = calls[name]
        queues.wait_until(lambda: calls[name] > before + 15, TIMEOUT)  # it waits MAX_WAIT by then
        before = calls[name]
        time.sleep(seconds)
        values["calls of an idle filter"].append(3600 * (calls[name] - before) / seconds)


def starts(connection, bare, rounds, values):
    """Measure how long the filter and a bare script take to start, and their memory then."""
    import psutil

    for _ in range(rounds):
        for title, program in [
            ("{} of a filter", partial(running, FILTER)),
            ("bare {}", partial(bare, 0, *BARE_QUEUES)),
        ]:
            with program(connection=connection) as process:
                took = moment(process, "Waiting") - process.began
                memory = psutil.Process(process.pid).memory_info().rss / 2**20
            values[title.format("start")].append(took)
            values[title.format("memory")].append(memory)


def rows(values):
    """Yield the table's rows, each a list of texts; the last one says whether the goal is reached.

    The ratio is the median of the pairs' ratios, as the two of a pair were measured in turns.
    """
    for what, form, beside, goal in ROWS:
        numbers = values[what]
        found = {"median": statistics.median(numbers), "ratio": None}
        compared = ratio = reached = ""
        if beside:
            found["ratio"] = statistics.median(a / b for a, b in zip(numbers, values[beside]))
            compared = f"{beside}: {form.format(statistics.median(values[beside]))}"
            ratio = f"{found['ratio']:.2f}"
        if goal:
            which, sign, limit = goal.split()
            enough, limit = found[which], float(limit)
            reached = "yes" if (enough <= limit if sign == "<=" else enough >= limit) else "NO"
        shown = [form.format(x) for x in (found["median"], min(numbers), max(numbers))]
        yield [what, *shown, compared, ratio, goal, reached]


def measure(options, folder, port):
    """Return all figures: a dict of titles to lists of numbers."""
    values, calls = collections.defaultdict(list), collections.Counter()
    storage = queues.account(emulator.connection_string(port))
    Path(folder, "bare.py").write_text(BARE)
    bare = partial(running, "bare.py", folder=folder)

    def intercept(method, path, forward):
        calls[path.split("/")[2].split("?")[0]] += 1
        time.sleep(ROUND_TRIP)
        return forward()

    def step(text):
        print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)

    step("replies and orders from idle")
    latency(storage.connection, options.rounds * 2, options.seconds, values)
    step("a filter beside a bare loop")
    throughput(storage, bare, options.rounds, options.orders, values)
    with proxy(port, intercept) as far_port:
        far = queues.via(far_port, storage)
        step("copies of a filter, 20 ms away")
        copies(storage, far, min(options.rounds, 3), options.orders, values)
        step("calls of idle pollers")
        idle_calls(far, calls, options.seconds * 3, values)
    step("start and memory")
    starts(storage.connection, bare, options.rounds, values)
    return values


def main():
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10, metavar="N", help="each measurement")
    parser.add_argument("--orders", type=int, default=128, metavar="N", help="at a time")
    parser.add_argument("--seconds", type=float, default=10, metavar="S", help="idle at most")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        azurite, port = emulator.start(Path(folder, "azurite"))
        try:
            found = list(rows(measure(options, folder, port)))
        finally:
            emulator.stop(azurite)
    version = platform.python_version()
    print(f"\n{platform.system()}, {os.cpu_count()} cores, Python {version}\n")
    table = [HEAD, ["-" * len(title) for title in HEAD], *found]
    widths = [max(map(len, column)) for column in zip(*table)]
    for row in table:
        print("|", " | ".join(text.ljust(width) for text, width in zip(row, widths)), "|")
    return int(any(row[-1] == "NO" for row in found))


if __name__ == "__main__":
    environment.run(main)
