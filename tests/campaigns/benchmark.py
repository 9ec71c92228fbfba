"""How fast are the scripts? Measure them against a private Azurite, and print one table.

python tests/benchmark.py [--orders N] [--rounds N] [--requests N] [--seconds S] [--json FILE]

Each figure is taken several times, in turns with the one that it is compared with. No figure makes it
fail: the exit code is 1 only if an order was lost or doubled, or if a measurement does not end.
"""

import argparse
import contextlib
import json
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import warnings
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for the support package
from support import emulator, environment, topology

ROUND_TRIP = 0.02  # seconds, added by a proxy, as the way to a real account does
COPIES = (1, 2, 4, 8)
# Orders for each copy, two full batches: Azurite's calls take longer the more messages it holds.
EACH = 64
TURN = 1.0  # seconds; short, for a virtual machine is now faster, now slower, by a third
FLOW = 0.1  # seconds from order to order while orders flow
MAX_WAIT = 0.5  # seconds between two looks of an idle poller, as in the scripts
TIMEOUT = 600  # seconds until a measurement is given up
QUEUES = {
    "filter_validate.py": ("queue-validate", "queue-enrich"),
    "filter_enrich.py": ("queue-enrich", "queue-finalize"),
    "final_consumer.py": ("queue-finalize",),
    "replier.py": ("request-queue",),
}
REPLY_QUEUE = f"reply-queue-{uuid.UUID(int=0)}"
# What a script is compared with: CONNECTION BATCH QUEUE ... imports the SDK, creates the queues, and
# moves the messages of the first into the second, BATCH a call, or none if BATCH is 0.
BARE = """
import contextlib, sys
from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import QueueServiceClient
service, batch = QueueServiceClient.from_connection_string(sys.argv[1]), int(sys.argv[2])
queues = [service.get_queue_client(name) for name in sys.argv[3:]]
for queue in queues:
    with contextlib.suppress(ResourceExistsError):
        queue.create_queue()
print("Waiting for messages...", flush=True)
while batch:
    for msg in queues[0].receive_messages(messages_per_page=batch, visibility_timeout=30):
        queues[1].send_message(msg.content)
        queues[0].delete_message(msg)
sys.stdin.read()
"""


def edited(text, diff):
    """Return the text with the hunks of a diff made; each stands once in the text, and "@@" parts them."""
    for hunk in re.split(r"^@@.*\n", diff, flags=re.M):
        lines = hunk.splitlines()
        old, new = ("\n".join(x[1:] for x in lines if x[0] in " " + sign) for sign in "-+")
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def threaded(folder):
    """Return the path of a filter_validate.py in folder that has the README's pool of threads."""
    readme = (topology.PROJECT / "README.md").read_text(encoding="utf-8")
    (diff,) = re.findall(r"^```diff\n([^`]*ThreadPoolExecutor[^`]*)```", readme, re.M)
    path = Path(folder, "filter_validate.py")
    source = (topology.PROJECT / path.name).read_text(encoding="utf-8")
    path.write_text(edited(source, diff), encoding="utf-8")
    return [path]


def bare(connection, batch, *names):
    """Return the command of the script to compare with."""
    return ["-c", BARE, connection, batch, *names]


def script(name):
    """Return the command of a script of the project."""
    return [topology.PROJECT / name]


@contextlib.contextmanager
def running(command, connection, output=subprocess.PIPE):
    """Yield the command (arguments of Python) as a process; it is killed at the end."""
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        env=dict(os.environ, AZURE_STORAGE_CONNECTION_STRING=connection),
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def watch(process, pattern):
    """Return a list that gets (time, line) of each line of the process that matches."""
    lines = []

    def read():
        for line in process.stdout:
            if re.search(pattern, line):
                lines.append((time.perf_counter(), line))

    threading.Thread(target=read, daemon=True).start()
    return lines


def until(condition, pause=0.002):
    """Wait until the condition, looked at after each pause (seconds), is true."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"A measurement did not end within {TIMEOUT} s.")
        time.sleep(pause)


def connect(connection):
    """Return the service client of a connection string."""
    from azure.storage.queue import QueueServiceClient

    return QueueServiceClient.from_connection_string(connection)


def depth(service, name):
    """Return how many messages are in the queue, the invisible ones too."""
    return service.get_queue_client(name).get_queue_properties().approximate_message_count


def fill(service, name, texts):
    """Empty the queue, made if need be, and send the texts to it."""
    from azure.core.exceptions import ResourceExistsError

    with contextlib.suppress(ResourceExistsError):
        service.create_queue(name)
    queue = service.get_queue_client(name)
    queue.clear_messages()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(queue.send_message, texts))


def orders(count):
    """Return the texts of count orders."""
    return [json.dumps({"order_id": f"ORD-{n}", "amount": n + 1}) for n in range(count)]


def check(service, name, count):
    """Take all messages of the queue; exit with 1 unless they are count orders, each of them once."""
    queue, found = service.get_queue_client(name), Counter()
    for msg in queue.receive_messages(messages_per_page=32, visibility_timeout=600):
        found[json.loads(msg.content)["order_id"]] += 1
    queue.clear_messages()
    if len(found) != count or sum(found.values()) != count:
        sys.exit(f"{count} orders became {sum(found.values())}, {len(found)} of them different.")


def drain(command, connection, source, copies=1, gate=None):
    """Return the orders/s of copies of a command until the source is empty, and the peak in MiB.

    gate: an event that is clear until all copies are ready.
    """
    import psutil

    service, gate = connect(connection), gate or threading.Event()
    gate.clear()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        paths = [Path(folder, str(n)) for n in range(copies)]
        files = [stack.enter_context(open(path, "wb")) for path in paths]
        processes = [stack.enter_context(running(command, connection, file)) for file in files]
        until(lambda: all(path.stat().st_size for path in paths))
        count, peaks = depth(service, source), []

        def drained():
            peaks.extend(psutil.Process(x.pid).memory_info().rss / 2**20 for x in processes)
            return not depth(service, source)

        began = time.perf_counter()
        gate.set()
        until(drained, 0.02)
        return count / (time.perf_counter() - began), max(peaks)


def in_turns(connection, count, programs):
    """Let each program (title, command, its two queues) drain count orders; yield titles and orders/s.

    Only one of them works at a time, for one TURN, while the others are suspended: so all see the
    same machine.
    """
    import psutil

    service, working, seconds = connect(connection), [], Counter()
    with contextlib.ExitStack() as stack:
        for title, command, (source, target) in programs:
            fill(service, source, [])
            fill(service, target, [])
            process = stack.enter_context(running(command, connection))
            lines = watch(process, "Waiting for")
            until(lambda lines=lines: lines)
            process = psutil.Process(process.pid)
            process.suspend()
            working.append((title, process, source))
        for _, _, source in working:
            fill(service, source, orders(count))

        def turn():
            title, process, source = program = working.pop(0)
            began = time.perf_counter()
            process.resume()
            until(lambda: not depth(service, source) or time.perf_counter() > began + TURN, 0.02)
            process.suspend()
            seconds[title] += time.perf_counter() - began
            if depth(service, source):
                working.append(program)
            return not working

        until(turn, 0)
    for title, _, (_, target) in programs:
        check(service, target, count)
        yield title, count / seconds[title]


def reply_time(connection):
    """Return the seconds from "Waiting for reply..." to "Reply received" of a requestor."""
    with running(script("requestor.py"), connection) as process:
        lines = watch(process, "Waiting for reply|Reply received")
        until(lambda: len(lines) == 2)
        process.wait()
    return lines[1][0] - lines[0][0]


def passages(connection, finals, texts):
    """Return the seconds from "-> Sent to" to "Fully processed" of orders that flow.

    finals: what watch() returned for the final consumer.
    """
    finals.clear()
    with running([*script("pipe_producer.py"), "-"], connection) as process:
        sent = watch(process, "-> Sent to")
        for text in texts:
            print(text, file=process.stdin, flush=True)
            time.sleep(FLOW)
        until(lambda: len(finals) == len(texts))
    times = [{json.loads(x[x.index("{") :])["order_id"]: t for t, x in s} for s in (sent, finals)]
    return [times[1][order] - times[0][order] for order in times[0]]


def shuffle(processes):
    """Suspend the pollers and let each go on at a random moment.

    Else each would look at its queue about as long after the one before it, for dozens of orders.
    """
    for process in processes:
        process.suspend()
    for process in random.sample(processes, len(processes)):
        time.sleep(random.uniform(0, MAX_WAIT))
        process.resume()


def latency(connection, requests, idle, values):
    """Measure how long a request and an order take, after everything was idle and while it is busy."""
    import psutil

    with contextlib.ExitStack() as stack:
        pollers = []
        for name in QUEUES:
            process = stack.enter_context(running(script(name), connection))
            lines = watch(process, "Waiting for|Fully processed")
            until(lambda lines=lines: lines)
            pollers.append(psutil.Process(process.pid))
            if name == "final_consumer.py":
                finals = lines
        for _ in range(requests):
            shuffle(pollers)
            time.sleep(random.uniform(*idle))
            values["reply idle"].append(reply_time(connection))
            values["pipeline idle"] += passages(connection, finals, orders(1))
        reply_time(connection)
        values["reply busy"] += [reply_time(connection) for _ in range(requests)]
        values["pipeline busy"] += passages(connection, finals, orders(requests * 10))


def beside_bare(connection, count, values):
    """Let each filter drain count orders, in turns with a bare loop that drains as many."""
    names = ("bare-source", "bare-target")
    for name in list(QUEUES)[:2]:
        programs = [
            ("turns " + name, script(name), QUEUES[name]),
            ("turns bare " + name, bare(connection, 32, *names), names),
        ]
        for title, rate in in_turns(connection, count, programs):
            values[title].append(rate)


def alone(connection, count, values):
    """Let each poller, and a loop that receives one message a call, drain count messages alone."""
    service, names = connect(connection), QUEUES["filter_validate.py"]
    request = json.dumps({"payload": "x", "reply_to": REPLY_QUEUE, "correlation_id": "1"})
    fill(service, REPLY_QUEUE, [])
    programs = [(name, script(name), queues) for name, queues in QUEUES.items()]
    programs.insert(1, ("one", bare(connection, 1, *names), names))
    for title, command, (source, *targets) in programs:
        fill(service, source, [request] * count if title == "replier.py" else orders(count))
        rate, peak = drain(command, connection, source)
        values["alone " + title].append(rate)
        values["peak " + title].append(peak)
        for target in targets:
            check(service, target, count)
        for queue in service.list_queues():
            service.get_queue_client(queue).clear_messages()


def scaling(connection, far, gate, count, values):
    """Drain orders over a long way: with copies, then with the threads of the README.

    far: the connection string by way of the proxy, which holds receives back until the gate is set.
    count: orders for each copy.
    """
    service = connect(connection)
    with tempfile.TemporaryDirectory() as folder:
        variants = [(f"copies {n}", script("filter_validate.py"), n, n) for n in COPIES]
        variants.append(("threads", threaded(folder), 1, 4))
        for title, command, copies, share in variants:
            fill(service, "queue-validate", orders(count * share))
            fill(service, "queue-enrich", [])
            rate, _ = drain(command, far, "queue-validate", copies, gate)
            values[title].append(rate)
            check(service, "queue-enrich", count * share)


def idle_cost(far, calls, seconds, values):
    """Measure the calls of idle pollers; calls: the times of the calls that the proxy sees, by queue."""
    with contextlib.ExitStack() as stack:
        for name in QUEUES:
            stack.enter_context(running(script(name), far))
        until(lambda: all(len(calls[queues[0]]) > 20 for queues in QUEUES.values()))
        calls.clear()
        time.sleep(seconds)
    for name, queues in QUEUES.items():
        times = calls[queues[0]]
        values["calls " + name].append(3600 * (len(times) - 1) / (times[-1] - times[0]))


def starts(connection, count, values):
    """Measure how long each poller takes to start, and a bare script with the same queues."""
    import psutil

    for name, queues in QUEUES.items():
        for _ in range(count):
            for title, command in [
                (name, script(name)),
                ("bare " + name, bare(connection, 0, *queues)),
            ]:
                began = time.perf_counter()
                with running(command, connection) as process:
                    lines = watch(process, "Waiting for")
                    until(lambda lines=lines: lines)
                    values["start " + title].append(lines[0][0] - began)
                    peak = psutil.Process(process.pid).memory_info().rss / 2**20
        values["peak bare " + name].append(peak)


def calls_apart(connection, count, values):
    """Measure a send, a receive and a delete: in all, and between request and response."""
    service, waits = connect(connection), []
    fill(service, "calls", [])
    queue = service.get_queue_client("calls")

    def hook(response):
        waits.append(response.http_response.internal_response.elapsed.total_seconds())

    def timed(title, call):
        began = time.perf_counter()
        result = call()
        values[title].append((time.perf_counter() - began) * 1000)
        values[title + " wire"].append(waits[-1] * 1000)
        return result

    for _ in range(count // 32):
        for text in orders(32):
            timed("send", lambda text=text: queue.send_message(text, raw_response_hook=hook))
        page = queue.receive_messages(messages_per_page=32, max_messages=32, raw_response_hook=hook)
        for msg in timed("receive", lambda page=page: list(page)):
            timed("delete", lambda msg=msg: queue.delete_message(msg, raw_response_hook=hook))


def rows(values):
    """Yield the table's rows: what, median, worst, compared with, ratio, to reach.

    The ratio is the median of the pairs' ratios, as the two of a pair were measured in turns.
    """
    median = {title: statistics.median(numbers) for title, numbers in values.items()}

    def row(what, title, unit, digits, beside="", goal="", worst=max):
        form = f"{{:.{digits}f}} {unit}".format
        with_ = f"{beside[0]}: {form(median[beside[1]])}" if beside else ""
        pairs = zip(values[title], values[beside[1]]) if beside else []
        ratio = f"{statistics.median(a / b for a, b in pairs):.2f}" if beside else ""
        return what, form(median[title]), form(worst(values[title])), with_, ratio, goal

    yield row("reply, idle before", "reply idle", "s", 2, goal="0.4 s, worst 0.75 s")
    yield row("reply, busy", "reply busy", "s", 2, goal="0.15 s")
    yield row("pipeline, idle before", "pipeline idle", "s", 2, goal="1.0 s, worst 1.8 s")
    yield row("pipeline, busy", "pipeline busy", "s", 2, goal="0.3 s")
    for name in list(QUEUES)[:2]:
        beside = ("bare loop", "turns bare " + name)
        yield row(f"{name}, in turns", "turns " + name, "orders/s", 0, beside, "ratio 0.9", min)
        beside = ("one a call", "alone one")
        yield row(f"{name}, alone", "alone " + name, "orders/s", 0, beside, "ratio 1.6", min)
    for n in COPIES[1:]:
        goal = {4: "ratio 3.2", 8: "ratio 5.5"}.get(n, "")
        beside = ("1 copy", "copies 1")
        yield row(f"{n} copies, 20 ms away", f"copies {n}", "orders/s", 0, beside, goal, min)
    beside = ("1 thread", "copies 1")
    yield row("16 threads, 20 ms away", "threads", "orders/s", 0, beside, "ratio 8", min)
    for name in QUEUES:
        title = "calls " + name
        month = f"{median[title] * 24 * 30 / 1e6:.1f} million a month"
        yield (*row(f"idle {name}", title, "calls/h", 0)[:3], month, "", "7300 calls/h")
    for name in QUEUES:
        beside = ("bare", "start bare " + name)
        yield row(f"start {name}", "start " + name, "s", 3, beside, "ratio 1.1")
    for name in QUEUES:
        beside = ("bare", "peak bare " + name)
        yield row(f"memory {name}", "peak " + name, "MiB", 1, beside, "ratio 1.1")
    for title, what in [("send", "a send"), ("receive", "a receive of 32"), ("delete", "a delete")]:
        yield row(what, title, "ms", 2, ("outside the SDK", title + " wire"))


def measure(options, port):
    """Return all figures: a dict of titles to lists of numbers."""
    from support.proxy import proxy

    values, calls, delay, gate = defaultdict(list), defaultdict(list), [0], threading.Event()
    connection = emulator.connection_string(port)

    def intercept(method, path, forward):
        calls[path.split("/")[2].split("?")[0]].append(time.perf_counter())
        if method == "GET" and "/messages" in path and "peekonly" not in path:
            gate.wait()
        time.sleep(delay[0])
        return forward()

    def step(text):
        print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)

    with proxy(port, intercept) as far_port:
        far = emulator.connection_string(far_port)
        step("replies and the pipeline, idle and busy")
        latency(connection, options.requests, (options.seconds / 2, options.seconds), values)
        for number in range(1, options.rounds + 1):
            step(f"round {number} of {options.rounds}: orders/s of a filter, and memory")
            beside_bare(connection, options.orders, values)
            alone(connection, options.orders, values)
            step(f"round {number} of {options.rounds}: copies and threads, 20 ms away")
            delay[0] = ROUND_TRIP
            scaling(connection, far, gate, min(EACH, options.orders), values)
            delay[0] = 0
            step(f"round {number} of {options.rounds}: idle cost, start, single calls")
            calls.clear()
            idle_cost(far, calls, options.seconds * 3, values)
            starts(connection, options.requests, values)
            calls_apart(connection, max(options.orders, 32), values)
    return values


def main():
    """Measure and print; return the exit code."""
    import rich.box
    from rich.console import Console
    from rich.table import Table

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, default=2000, metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--requests", type=int, default=40, metavar="N")
    parser.add_argument("--seconds", type=float, default=10, metavar="S", help="idle at most")
    parser.add_argument("--json", metavar="FILE", help="write all figures to this file, too")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # the SDK's packages warn on Python 3.8
    os.environ.update(NO_PROXY="127.0.0.1", no_proxy="127.0.0.1", PYTHONWARNINGS="ignore")
    with tempfile.TemporaryDirectory() as folder:
        azurite, port = emulator.start(Path(folder))
        try:
            values = measure(options, port)
        finally:
            emulator.stop(azurite)
    machine = f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    table = Table(box=rich.box.MARKDOWN)
    for title in ("what", "median", "worst", "compared with", "ratio", "to reach"):
        table.add_column(title)
    found = list(rows(values))
    for row in found:
        table.add_row(*row)
    print(f"\n{machine}\n")
    with (console := Console(width=140, color_system=None)).capture() as text:
        console.print(table)
    print("\n".join(line.rstrip() for line in text.get().splitlines() if line.strip()))
    if options.json:
        result = {"machine": machine, "table": found, "values": values}
        Path(options.json).write_text(json.dumps(result, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    environment.run(main)
