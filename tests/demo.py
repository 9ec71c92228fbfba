"""Watch both patterns at work, with nothing to install or to configure: python tests/demo.py

Starts a private Azurite and the six scripts, sends the handout's order, a file of orders and a
request, shows what every script prints, and tells what became of each order.
"""

import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial

from support import emulator, environment, ledger, queues, scripts
from support.topology import POLLERS, PROJECT, READY

ORDERS = PROJECT / "tests" / "data" / "orders.jsonl"
TIMEOUT = 60  # seconds that a step may take
COLORS = {
    "pipe_producer": "cyan",
    "filter_validate": "yellow",
    "filter_enrich": "magenta",
    "final_consumer": "green",
    "replier": "blue",
    "requestor": "cyan",
}
HANDOUT_ORDER = "ORD-123"
RECEIVED, REJECTED = "[Filter A] Received: ", "[Filter A] Validation failed."
ARRIVED = "[Final Consumer] Fully processed message received: "
REPLY = "[Requestor] Reply received: "
NEXT = """
What next: run the scripts yourself, each in a terminal of its own.
README.md says how (in Japanese: README.ja.md).
Terminal 0: python tests/azurite.py
The tests:  python tests/run.py"""


class Cast:
    """The running scripts, and all lines (script, line) that they have printed so far."""

    def __init__(self, connection):
        from rich.console import Console

        self.connection, self.console = connection, Console(highlight=False, soft_wrap=True)
        self.lines, self.running = [], []

    def start(self, script, *arguments):
        """Start a script and show what it prints; return its process."""
        process = scripts.start(
            script, *arguments, connection=self.connection, stdout=subprocess.PIPE
        )
        thread = threading.Thread(target=self.show, args=(script[:-3], process.stdout))
        self.running.append((script, process, thread))
        thread.start()
        return process

    def show(self, name, output):
        """Show each line of the output, with the script's name in its colour."""
        from rich.text import Text

        for line in output:
            line = line.rstrip("\n")
            self.lines.append((name, line))
            self.console.print(Text.assemble((f"{name:<15}", COLORS[name]), f" | {line}"))

    def after(self, start):
        """Return the rest of each line that begins so."""
        return [line[len(start) :] for _, line in self.lines if line.startswith(start)]

    def wait_for(self, condition):
        """Wait until the condition is true; RuntimeError if a script fails or TIMEOUT passes first."""
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            failed = [script for script, process, _ in self.running if process.poll()]
            if failed:
                raise RuntimeError(f"{failed[0]} failed.")
            if time.monotonic() > deadline:
                raise RuntimeError(f"Not done within {TIMEOUT} s.")
            time.sleep(0.02)

    def stop(self):
        """Stop all scripts, and wait until all that they printed is shown."""
        for _, process, _ in self.running:
            process.terminate()
        for _, process, thread in self.running:
            process.wait()
            thread.join()


def play(cast, storage):
    """Start the pollers, send the orders and wait for their end, then send the request.

    RuntimeError if a script fails, or if something does not come to its end.
    """
    for script in POLLERS:
        cast.start(script)
        cast.wait_for(partial(cast.after, READY[script]))
    for arguments in ([], [ORDERS]):
        producer = cast.start("pipe_producer.py", *arguments)
        cast.wait_for(lambda producer=producer: producer.poll() == 0)
        cast.wait_for(lambda: ledger.empty(storage))
    requestor = cast.start("requestor.py")
    cast.wait_for(lambda: requestor.poll() == 0)


def rejected(lines):
    """Return the texts of the orders that Filter A rejected, by the lines that it printed."""
    texts, received = [], None
    for _, line in lines:
        if line.startswith(RECEIVED):
            received = line[len(RECEIVED) :]
        elif line.startswith(REJECTED):
            texts.append(received)
    return texts


def demo(connection):
    """Play on this storage, print the table and return the exit code."""
    began = time.monotonic()
    cast, storage = Cast(connection), queues.account(connection)
    finished = False
    try:
        play(cast, storage)
        finished = True
    except RuntimeError as error:
        print(error)
    finally:
        cast.stop()
    sent = {ledger.order_id(text) for text in ORDERS.read_text(encoding="utf-8").splitlines()}
    sent.add(HANDOUT_ORDER)
    ends = {
        "arrived": cast.after(ARRIVED),
        "rejected": rejected(cast.lines),
        "poisoned": sum(ledger.poisoned(storage).values(), []),
    }
    ends = {title: {ledger.order_id(text) for text in texts} for title, texts in ends.items()}
    lost = sent.difference(*ends.values())
    print()
    print(f"sent       {len(sent)}")
    for title, found in ends.items():
        print(f"{title:<10} {len(found)}")
    print(f"lost       {len(lost)}")
    print(f"request    {'answered' if cast.after(REPLY) else 'NOT answered'}")
    print(f"seconds    {time.monotonic() - began:.1f}")
    print(NEXT if finished and not lost else "\nNot everything arrived as it should.")
    return 0 if finished and not lost else 1


def main():
    """Run the demo on an Azurite of its own; return the exit code."""
    sys.stdout.reconfigure(errors="backslashreplace")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        print("Starting a private Azurite ...", flush=True)
        try:
            process, port = emulator.start(folder)
        except RuntimeError as error:
            print(f"Azurite did not start: {error}")
            return 1
        stack.callback(emulator.stop, process)
        return demo(emulator.connection_string(port))


if __name__ == "__main__":
    environment.run(main)
