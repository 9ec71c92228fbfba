"""How fast are the scripts? Measure them against a private Azurite, and print a line for each figure.

What is compared is measured in turns, for a virtual machine is now faster, now slower; the ratio is
the median of the pairs' ratios. The exit code is 1 if a goal is missed, or an order lost or doubled.
"""

import contextlib
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for the support package
from suite.helpers.orders import numbers, order
from suite.helpers.proxy import running_proxy
from suite.helpers.terminals import running_script
from support import emulator, environment, queues
from support.topology import POLLERS

ROUNDS = 10  # of each measurement
COUNT = 128  # orders that one filter works on in a round
IDLE = 10  # seconds
ROUND_TRIP = 0.02  # seconds, added by a proxy, as the way to a real account does
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


def in_turns(functions):
    """Call the functions in turns, ROUNDS times; return the results of each."""
    return list(zip(*[[function() for function in functions] for _ in range(ROUNDS)]))


def seconds(process, text):
    """Return the seconds until the process prints the text."""
    began = time.perf_counter()
    process.expect_exact(text)
    return time.perf_counter() - began


def latency(connection):
    """Return the seconds that a reply, and an order through the pipeline, take after all was idle.

    The pollers are new each time, and start at random moments: else each would look at its queue about
    as long after the one before it, every time.
    """
    with contextlib.ExitStack() as stack:
        pollers = {}
        for script in POLLERS:
            pollers[script] = stack.enter_context(running_script(script, connection, READY))
            time.sleep(random.uniform(0, 0.5))  # POLL_INTERVAL
        time.sleep(IDLE)
        with running_script("requestor.py", connection, "Waiting for reply") as requestor:
            reply = seconds(requestor, "Reply received")
        with running_script("pipe_producer.py", connection, "-> Sent to"):
            return reply, seconds(pollers["final_consumer.py"], "Fully processed")


def rate(storage, program, copies=1):
    """Return the orders/s of so many processes of a program; exit if an order is lost or doubled.

    The clock starts when all of them run; what the first ones did before is not counted.
    """
    count = COUNT * copies
    queues.send(storage, "queue-validate", *map(order, range(count)))
    with contextlib.ExitStack() as stack:
        for _ in range(copies):
            stack.enter_context(program())
        began, rest = time.perf_counter(), queues.depth(storage, "queue-validate")
        queues.wait_until(lambda: not queues.depth(storage, "queue-validate"), pause=0.005)
        took = time.perf_counter() - began
    found = numbers(queues.take(storage, "queue-enrich", count))
    if sorted(found) != list(range(count)):
        raise RuntimeError(f"{count} orders became {len(found)}, {len(set(found))} different ones.")
    return rest / took


def start(program):
    """Return the seconds that a program takes to start, and its memory then, in MiB."""
    import psutil

    began = time.perf_counter()
    with program() as process:
        took, process = time.perf_counter() - began, psutil.Process(process.pid)
        # On Windows, the venv's python starts the one that works.
        family = [process, *process.children(recursive=True)]
        return took, sum(one.memory_info().rss for one in family) / 2**20


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


def measure(port, folder):
    """Measure and print all figures; return of each whether its goal is reached."""
    storage = queues.open_account(emulator.connection_string(port))
    near = storage.connection
    Path(folder, "bare.py").write_text(BARE)
    bare = partial(running_script, "bare.py", near, READY, folder=folder)
    programs = [partial(running_script, FILTER, near, READY), bare]

    def slow(call, forward):
        time.sleep(ROUND_TRIP)
        return forward()

    replies, orders = zip(*[latency(near) for _ in range(ROUNDS)])
    reached = [report("reply, idle before", "s", replies, most=0.4)]
    reached += [report("pipeline, idle before", "s", orders, most=1.0)]
    rates = in_turns([partial(rate, storage, program) for program in programs])
    reached += [report("a filter", "orders/s", *rates, least=0.85)]
    with running_proxy(port, slow) as far_port:
        far = near.replace(f":{port}/", f":{far_port}/")
        away = partial(running_script, FILTER, far, READY)
        rates = in_turns([partial(rate, storage, away, copies) for copies in (1, 2, 4)])
    for copies, values in zip((1, 2, 4), rates):
        report(f"{copies} filter(s), 20 ms away", "orders/s", values)
    starts = in_turns([partial(start, program) for program in programs])
    ours, bare = [list(zip(*pairs)) for pairs in starts]
    reached += [report("start of a filter", "s", ours[0], bare[0], most=1.1)]
    return reached + [report("memory of a filter", "MiB", ours[1], bare[1], most=1.1)]


def main():
    """Measure and print; return the exit code."""
    version = platform.python_version()
    print(f"{platform.system()}, {os.cpu_count()} cores, Python {version}: median (least to most)")
    with emulator.running_azurite() as port, tempfile.TemporaryDirectory() as folder:
        return int(not all(measure(port, folder)))


if __name__ == "__main__":
    environment.run_tool(main, suite=True)
