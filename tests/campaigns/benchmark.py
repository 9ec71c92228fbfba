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
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for the support package
from suite.helpers.orders import numbers, order
from suite.helpers.proxy import running_proxy
from suite.helpers.terminals import running_script
from support import emulator, environment, processes, queues
from support.topology import POLLERS, QUEUES

ROUNDS = 10  # of each measurement
FILTER = "filter_validate.py"
SOURCE, TARGET = QUEUES[FILTER]
READY = "Waiting for"  # what each poller prints then
# What the filter is compared with: a loop that does nothing but to receive, send and delete.
BARE = """
import dotenv, os, time
from azure.storage.queue import QueueServiceClient
service = QueueServiceClient.from_connection_string(os.environ["AZURE_STORAGE_CONNECTION_STRING"])
source, target = map(service.get_queue_client, ["queue-validate", "queue-enrich"])
for _ in range(3):  # calls that the filter, too, makes before it is ready
    source.get_queue_properties()
print("Waiting for messages...", flush=True)
while True:
    for msg in source.receive_messages(messages_per_page=32, visibility_timeout=30):
        target.send_message(msg.content)
        source.delete_message(msg)
    time.sleep(0.05)
"""


def in_turns(measure, calls):
    """Measure with each of the arguments in turns, ROUNDS times; return of each its lists of figures."""
    turns = [[measure(*arguments) for arguments in calls] for _ in range(ROUNDS)]
    return [list(zip(*figures)) for figures in zip(*turns)]


def latency(connection):
    """Return the seconds that a reply, and an order through the pipeline, take after all was idle.

    The pollers are new each time, and start at random moments of their POLL_INTERVAL (0.5 s): else
    each would look at its queue about as long after the one before it, every time.
    """
    with contextlib.ExitStack() as stack:
        pollers = {}
        for script in POLLERS:
            pollers[script] = stack.enter_context(running_script(script, connection, READY))
            time.sleep(random.uniform(0, 0.5))
        time.sleep(10)  # idle
        with running_script("requestor.py", connection, "Waiting for reply") as requestor:
            began = time.perf_counter()
            requestor.expect_exact("Reply received")
            reply = time.perf_counter() - began
        with running_script("pipe_producer.py", connection, "-> Sent to"):
            began = time.perf_counter()
            pollers["final_consumer.py"].expect_exact("Fully processed")
            return reply, time.perf_counter() - began


def work(storage, connection, script, copies):
    """Let so many copies of a script work on orders; exit if an order is lost or doubled.

    Return their orders/s since all of them run (what the first ones did before is not counted), the
    seconds that their start took, and the memory of the last one at the end, in MiB.
    """
    import psutil

    count, folder = 128 * copies, processes.private_copies()
    queues.send(storage, SOURCE, *map(order, range(count)))
    with contextlib.ExitStack() as stack:
        began = time.perf_counter()
        for _ in range(copies):
            process = stack.enter_context(running_script(script, connection, READY, folder))
        started, rest = time.perf_counter(), queues.depth(storage, SOURCE)
        queues.wait_until(lambda: not queues.depth(storage, SOURCE), timeout=600, pause=0.005)
        ended, process = time.perf_counter(), psutil.Process(process.pid)
        # On Windows, the venv's python starts the one that works.
        family = [process, *process.children(recursive=True)]
        memory = sum(one.memory_info().rss for one in family) / 2**20
    found = sorted(numbers(queues.take(storage, TARGET, queues.depth(storage, TARGET))))
    if found != list(range(count)):
        raise RuntimeError(f"{count} orders became {len(found)}, {len(set(found))} different ones.")
    return rest / (ended - started), started - began, memory


def report(what, unit, values, bare=None, least=0, most=float("inf")):
    """Print a line of the table; return whether the median, or its ratio to the bare loop, is good."""
    figure = statistics.median(values)
    line = f"{what:<26}{figure:>9.3f} ({min(values):.3f} to {max(values):.3f}) {unit}"
    if bare:
        figure = statistics.median(a / b for a, b in zip(values, bare))
        line += f", {figure:.2f} of the bare loop's {statistics.median(bare):.3f}"
    reached = least <= figure <= most
    print(line + ("" if reached else f"   MISSED: {least} to {most}"), flush=True)
    return reached


def main():
    """Measure and print all figures; return the exit code."""

    def slow_down(call, forward):
        time.sleep(0.02)  # seconds, as the way to a real account and back takes
        return forward()

    version = platform.python_version()
    print(f"{platform.system()}, {os.cpu_count()} cores, Python {version}: median (least to most)")
    with emulator.running_azurite() as port, running_proxy(port, slow_down) as far_port:
        storage = queues.open_account(emulator.connection_string(port))
        near = storage.connection
        far = near.replace(f":{port}/", f":{far_port}/")
        [(replies, orders)] = in_turns(latency, [[near]])
        reached = [report("reply, idle before", "s", replies, most=0.4)]
        reached += [report("pipeline, idle before", "s", orders, most=1.0)]
        Path(processes.private_copies(), "bare.py").write_text(BARE)
        ours, bare = in_turns(work, [(storage, near, FILTER, 1), (storage, near, "bare.py", 1)])
        reached += [report("a filter", "orders/s", ours[0], bare[0], least=0.85)]
        programs = [(storage, far, FILTER, copies) for copies in (1, 2, 4)]
        for (*_, copies), (rates, *_) in zip(programs, in_turns(work, programs)):
            report(f"{copies} filter(s), 20 ms away", "orders/s", rates)
    reached += [report("start of a filter", "s", ours[1], bare[1], most=1.1)]
    reached += [report("memory of a filter", "MiB", ours[2], bare[2], most=1.1)]
    return int(not all(reached))


if __name__ == "__main__":
    environment.run_tool(main, suite=True)
