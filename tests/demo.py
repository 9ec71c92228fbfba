"""Watch both patterns at work, with nothing to install or to configure: python tests/demo.py

Starts a private Azurite and the six scripts, sends the handout's order, a file of orders and a
request, shows what every script prints, and compares what arrived with what was sent.
"""

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

from support import emulator, environment, topology

ORDERS = topology.PROJECT / "tests" / "data" / "orders.jsonl"
HANDOUT_ORDER_ID = "ORD-123"
LINE_TIMEOUT = 30  # seconds without a line that was waited for
POLLERS = {  # script: what it prints once it is ready
    "filter_validate.py": "[Filter A: Validate] Waiting for",
    "filter_enrich.py": "[Filter B: Enrich] Waiting for",
    "final_consumer.py": "[Final Consumer] Waiting for",
    "replier.py": "[Replier] Waiting for",
}
COLORS = {  # ANSI escape sequences
    "pipe_producer": "\033[36m",
    "filter_validate": "\033[33m",
    "filter_enrich": "\033[35m",
    "final_consumer": "\033[32m",
    "replier": "\033[34m",
    "requestor": "\033[36m",
}
NEXT = """
What next: run the scripts yourself, each in a terminal of its own.
Chapter 3 of README.md says how (in Japanese: README.ja.md).
Terminal 0: python tests/azurite.py
The tests:  python tests/run.py"""


def expected(lines):
    """Return what becomes of the lines of an order file: (ids that arrive, rejected, poisoned)."""
    import filter_validate

    arrive, rejected, poisoned = [], 0, 0
    for line in lines:
        try:
            order = json.loads(line, parse_constant=int)  # int("NaN") is a ValueError
            if not isinstance(order, dict):
                raise ValueError("not an object")
        except ValueError:
            poisoned += 1
            continue
        if filter_validate.validate(order) is None:
            arrive.append(order["order_id"])
        else:
            rejected += 1
    return arrive, rejected, poisoned


def start(script, arguments, variables, lines):
    """Start a script; a thread puts (script, line) into lines for each line that it prints."""
    process = subprocess.Popen(
        [sys.executable, str(topology.PROJECT / script), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=variables,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # Ctrl+C is for the demo, which then stops them all
    )

    def read():
        for line in process.stdout:
            lines.put((script[:-3], line.rstrip("\n")))

    threading.Thread(target=read, daemon=True).start()
    return process


def follow(lines, color):
    """Show lines until the receiver of this generator has seen enough; yield each (script, line)."""
    while True:
        try:
            script, line = lines.get(timeout=LINE_TIMEOUT)
        except queue.Empty:
            sys.exit(f"No line in {LINE_TIMEOUT} s: something hangs.")
        before, after = (COLORS[script], "\033[0m") if color else ("", "")
        print(f"{before}{script:<15} |{after} {line}", flush=True)
        yield script, line


def wait_for(following, *starts):
    """Follow the lines until one has begun with each of the starts; return all lines seen."""
    missing, seen = list(starts), []
    while missing:
        script, line = next(following)
        seen.append(line)
        found = [text for text in missing if line.startswith(text)]
        missing = [text for text in missing if text not in found]
    return seen


def play(connection, color):
    """Run all scripts against this storage; return the exit code."""
    from azure.storage.queue import QueueServiceClient

    began = time.monotonic()
    variables = dict(os.environ, AZURE_STORAGE_CONNECTION_STRING=connection)
    variables.update(NO_PROXY="127.0.0.1", no_proxy="127.0.0.1", PYTHONIOENCODING="utf-8")
    variables["PYTHONWARNINGS"] = "ignore"
    file_lines = ORDERS.read_text(encoding="utf-8").splitlines()
    arrive, rejected, poisoned = expected(file_lines)
    arrive.append(HANDOUT_ORDER_ID)
    lines, running = queue.Queue(), []
    following = follow(lines, color)
    try:
        for script, ready in POLLERS.items():
            running.append(start(script, [], variables, lines))
            wait_for(following, ready)
        running.append(start("pipe_producer.py", [], variables, lines))
        final = "[Final Consumer] Fully processed message received: "
        seen = wait_for(following, "Producer finished.", final)
        running.append(start("pipe_producer.py", [str(ORDERS)], variables, lines))
        ends = {
            "arrived": final,
            "rejected": "[Filter A] Validation failed.",
            "poisoned": "[Filter A] Bad",
        }
        wanted = {"arrived": len(arrive), "rejected": rejected, "poisoned": poisoned}

        def counts():
            return {k: sum(line.startswith(text) for line in seen) for k, text in ends.items()}

        while any(counts()[k] < wanted[k] for k in wanted):
            seen.append(next(following)[1])
        requestor = start("requestor.py", [], variables, lines)
        running.append(requestor)
        wait_for(following, "[Requestor] Deleting reply queue.")
        answered = requestor.wait(timeout=LINE_TIMEOUT) == 0
    finally:
        for process in running:
            process.terminate()
            process.wait()
    got = [json.loads(line[len(final) :])["order_id"] for line in seen if line.startswith(final)]
    service = QueueServiceClient.from_connection_string(connection)
    poison = service.get_queue_client("queue-validate-poison").get_queue_properties()
    count = counts()
    lost = len(set(arrive) - set(got))
    print()
    print(f"sent       {len(file_lines) + 1}")
    print(f"arrived    {len(set(got))}")
    print(f"rejected   {count['rejected']}")
    print(f"poisoned   {poison.approximate_message_count}")
    print(f"lost       {lost}")
    print(f"request    {'answered' if answered else 'NOT answered'}")
    print(f"seconds    {time.monotonic() - began:.1f}")
    right = sorted(got) == sorted(arrive) and count == wanted
    right = right and poison.approximate_message_count == poisoned and answered
    print(NEXT if right else "\nNot everything arrived as it should.")
    return 0 if right else 1


def main():
    """Run the demo on an Azurite of its own; return the exit code."""
    warnings.simplefilter("ignore")  # the SDK's packages warn on Python 3.8
    sys.path.insert(0, str(topology.PROJECT))
    sys.stdout.reconfigure(errors="backslashreplace")
    color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    if color and os.name == "nt":
        os.system("")  # makes an old Windows console understand colours
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        print("Starting a private Azurite ...", flush=True)
        try:
            process, port = emulator.start(Path(folder))
        except RuntimeError as error:
            print(f"Azurite did not start: {error}")
            return 1
        stack.callback(emulator.stop, process)
        return play(emulator.connection_string(port), color)


if __name__ == "__main__":
    environment.run(main)
