"""Watch both patterns at work, with nothing to install or to configure: python tests/demo.py

Starts a private Azurite and the six scripts, sends the handout's order, a file of orders and a
request, shows what every script prints, and tells what became of each order.
"""

import collections
import os
import re
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # also if PYTHONSAFEPATH is set
from support import emulator, environment, processes, queues
from support.topology import ARRIVED, POLLERS, PROJECT, READY, SCRIPTS

ORDERS = PROJECT / "tests" / "data" / "orders.jsonl"
COLORS = dict(zip(SCRIPTS, ["cyan", "yellow", "magenta", "green", "blue", "cyan"]))
COPY, ACTIVATE = (
    ("copy", "venv\\Scripts\\activate") if os.name == "nt" else ("cp", "source venv/bin/activate")
)
NEXT = f"""
What next: run the scripts yourself, as README.md says (in Japanese: README.ja.md).
All is installed already.
The settings, if there are none: {COPY} .env.example .env
In each new terminal:            {ACTIVATE}
In terminal 0, the emulator:     python tests/azurite.py"""


class Cast:
    """The running scripts, and what each has printed so far."""

    def __init__(self, storage):
        from rich.console import Console

        self.storage, self.console = storage, Console(highlight=False, soft_wrap=True)
        self.texts, self.running = collections.defaultdict(str), []

    def start(self, script, *arguments):
        """Start a script; return once it is ready, or has ended and what it sent is dealt with.

        Raises RuntimeError if a script fails, or if it takes too long.
        """
        connection = self.storage.connection
        process = processes.start_script(script, *arguments, connection=connection)
        thread = threading.Thread(target=self.show, args=(script, process.stdout))
        self.running.append((script, process, thread))
        thread.start()

        def done():
            for name, started, _ in self.running:
                if started.poll():
                    raise RuntimeError(f"{name} failed.")
            if script in POLLERS:
                return READY[script] in self.texts[script]
            return process.poll() == 0 and queues.all_done(self.storage)

        queues.wait_until(done, pause=0.1)

    def show(self, script, output):
        """Show each line of the output, with the script's name in its colour."""
        from rich.text import Text

        for line in output:
            self.texts[script] += line
            self.console.print(Text(f"{script[:-3]:<15}", COLORS[script]) + f" | {line.rstrip()}")

    def stop(self):
        """Stop all scripts, and wait until all that they printed is shown."""
        for _, process, thread in self.running:
            process.terminate()
            process.wait()
            thread.join()


def reckon(texts, set_aside):
    """Print what became of the orders, by what the scripts printed; return how many are lost."""
    rejected = r"Received: (.*)\n.* Validation failed"
    ends = {
        "arrived": processes.said(texts["final_consumer.py"], ARRIVED),
        "rejected": re.findall(rejected, texts["filter_validate.py"]),
        "poisoned": set_aside,
    }
    ends = {end: set(processes.order_ids(orders)) for end, orders in ends.items()}
    sent = {"ORD-123", *processes.order_ids(ORDERS.read_text(encoding="utf-8").splitlines())}
    ends["lost"] = sent.difference(*ends.values())
    print(f"\nsent       {len(sent)}")
    for end, orders in ends.items():
        print(f"{end:<10} {len(orders)}")
    return len(ends["lost"])


def main():
    """Run the demo on an Azurite of its own; return the exit code."""
    print("Starting a private Azurite ...", flush=True)
    with emulator.running_azurite() as port:
        began, storage = time.monotonic(), queues.open_account(emulator.connection_string(port))
        cast = Cast(storage)
        try:
            for script in POLLERS:
                cast.start(script)
            cast.start("pipe_producer.py")  # the handout's order, ORD-123
            cast.start("pipe_producer.py", ORDERS)
            cast.start("requestor.py")
        finally:
            cast.stop()
        lost = reckon(cast.texts, queues.poisoned(storage))
    print("request    answered")
    print(f"seconds    {time.monotonic() - began:.1f}")
    print("\nNot everything arrived as it should." if lost else NEXT)
    return int(lost > 0)


if __name__ == "__main__":
    environment.run_tool(main)
