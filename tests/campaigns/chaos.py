"""Try to lose a message: kill scripts and stop Azurite while orders and requests flow.

python tests/chaos.py [--orders N] [--kills N] [--outages N] [--seed N]

Two copies of each filter, two consumers and two repliers run. Orders are sent with the producer, and
again where it did not say that it sent one. The schedule of kills (SIGKILL; TerminateProcess on
Windows) and outages follows from the seed. Exit code 0 if no order is lost and no reply is wrong, or
missing although its requestor was not killed and said nothing of a time-out or an outage.
"""

import argparse
import collections
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for the support package
from support import emulator, environment, topology

PIPELINE = ["filter_validate.py", "filter_enrich.py", "final_consumer.py", "replier.py"]
COPIES = 2
CHUNK = 50  # orders that one run of the producer sends
FINAL = "[Final Consumer] Fully processed message received: "
REPLY = "[Requestor] Reply received: "
STALL = 4  # seconds without a new arrival until the next kill comes all the same
DRAIN = 240  # seconds that the end may take: leases of 30 s, one after another


class Campaign:
    """One run: the emulator, the scripts' processes by name, and what is known so far."""

    def __init__(self, folder, seed):
        self.folder, self.random = Path(folder), random.Random(seed)
        self.azurite = self.port = self.variables = None
        self.processes, self.killed, self.closing = {}, [], False
        self.lock = threading.Lock()
        self.count = collections.Counter()
        self.arrivals, self.seen = collections.Counter(), collections.Counter()

    def start_azurite(self):
        """Start Azurite on the port that it had before, if it had one; its data is on disk."""

        self.azurite, self.port = emulator.start(self.folder / "azurite", self.port or 0)
        self.variables = dict(
            os.environ,
            AZURE_STORAGE_CONNECTION_STRING=emulator.connection_string(self.port),
            NO_PROXY="127.0.0.1",
            no_proxy="127.0.0.1",
            PYTHONIOENCODING="utf-8",
            PYTHONWARNINGS="ignore",
        )

    def outage(self, seconds):
        """Stop Azurite for so long."""

        emulator.stop(self.azurite)
        time.sleep(seconds)
        self.start_azurite()
        self.count["outages"] += 1

    def start(self, name, script, *arguments, **options):
        """Start a script under this name; what it prints is added to the file of this name."""
        with self.lock, open(self.folder / name, "ab") as output:
            self.processes[name] = subprocess.Popen(
                [sys.executable, str(topology.PROJECT / script), *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.variables,
                start_new_session=True,
                **{"stdin": subprocess.DEVNULL, **options},
            )
            return self.processes[name]

    def kill(self):
        """Kill a script that the seed chooses; start it again if it is a poller."""
        name = self.random.choice([*self.pollers(), "producer", "requestor"])
        process = self.processes.get(name)
        if process and process.poll() is None:
            self.killed.append(process)
            process.kill()
            process.wait()
            self.count["kills"] += 1
        if name in self.pollers():
            self.start(name, self.pollers()[name])

    def pollers(self):
        """Return the pollers: name to script."""
        return {f"{script}-{copy}": script for script in PIPELINE for copy in range(COPIES)}

    def send(self, orders):
        """Send the orders (dicts), each until the producer says that it is sent."""
        missing = {json.dumps(order) for order in orders}
        while missing and not self.closing:
            chunk = sorted(missing)[:CHUNK]
            name = f"producer-{self.count['producers']}"
            self.count["producers"] += 1
            process = self.start(name, "pipe_producer.py", "-", stdin=subprocess.PIPE)
            self.processes["producer"] = process
            with contextlib.suppress(BrokenPipeError):
                process.communicate("\n".join(chunk).encode())
            said = (self.folder / name).read_text(encoding="utf-8").splitlines()
            said = {line.partition("': ")[2] for line in said if line.startswith("-> Sent to '")}
            self.count["sent"] += len(missing & said)
            missing -= said

    def ask(self):
        """Ask one request after another, and check each reply."""
        while not self.closing:
            number = self.count["requests"]
            self.count["requests"] += 1
            name = f"requestor-{number}"
            process = self.start(name, "requestor.py", "request", str(number))
            self.processes["requestor"] = process
            process.wait()
            said = (self.folder / name).read_text(encoding="utf-8").splitlines()
            replies = [line for line in said if line.startswith(REPLY)]
            right = [f"{REPLY}REQUEST {number}"]
            told = any("Timed out" in line or "cannot be reached" in line for line in said)
            self.count["answered"] += replies == right
            self.count["wrong"] += replies != right and not (told or process in self.killed)

    def look(self):
        """Count what the final consumers have printed since the last look."""
        for copy in range(COPIES):
            path = self.folder / f"final_consumer.py-{copy}"
            with open(path, encoding="utf-8", newline="\n") as file:
                file.seek(self.seen[path])
                text = file.read().rpartition("\n")[0]  # whole lines
            self.seen[path] += len(text.encode("utf-8")) + bool(text)
            for line in text.splitlines():
                if line.startswith(FINAL):
                    self.arrivals[json.loads(line[len(FINAL) :])["order_id"]] += 1

    def progress(self):
        """Print how far it is."""
        done = f"{self.count['sent']} sent, {len(self.arrivals)} arrived, "
        done += f"{self.count['answered']} of {self.count['requests']} requests answered, "
        print(done + f"{self.count['kills']} kills, {self.count['outages']} outages", flush=True)

    def depth(self, poison):
        """Return how many messages are in the poison queues, or in the others; invisible ones too."""
        from azure.storage.queue import QueueServiceClient

        connection = self.variables["AZURE_STORAGE_CONNECTION_STRING"]
        service = QueueServiceClient.from_connection_string(connection)
        names = [queue.name for queue in service.list_queues()]
        names = [name for name in names if name.endswith("-poison") == poison]
        names = [name for name in names if not name.startswith("reply-")]
        properties = [service.get_queue_client(name).get_queue_properties() for name in names]
        return sum(queue.approximate_message_count for queue in properties)

    def run(self, orders, kills, outages):
        """Run the schedule and wait until every queue is empty."""
        self.start_azurite()
        for name, script in self.pollers().items():
            self.start(name, script)
        sent = [
            {"order_id": f"ORD-{n}", "amount": n + 1, "note": "x" * (n % 90)} for n in range(orders)
        ]
        threads = [
            threading.Thread(target=self.send, args=(sent,)),
            threading.Thread(target=self.ask),
        ]
        for thread in threads:
            thread.start()
        events = ["kill"] * kills + ["outage"] * outages
        self.random.shuffle(events)
        shown = time.monotonic()
        try:
            for number, event in enumerate(events, 1):
                goal, deadline = orders * number // (len(events) + 1), time.monotonic() + STALL
                while len(self.arrivals) < goal and time.monotonic() < deadline:
                    time.sleep(0.1)
                    self.look()
                time.sleep(self.random.uniform(0, 0.2))
                if event == "kill":
                    self.kill()
                else:
                    self.outage(self.random.uniform(0.5, 3))
                if time.monotonic() > shown + 2:
                    self.progress()
                    shown = time.monotonic()
            threads[0].join()
            deadline = time.monotonic() + DRAIN
            self.closing = True
            threads[1].join()
            while self.depth(poison=False) and time.monotonic() < deadline:
                time.sleep(2)
                self.look()
                self.progress()
            self.count["poisoned"] = self.depth(poison=True)
        finally:
            self.closing = True
            self.close()
        self.look()

    def close(self):
        """Stop all that was started."""

        for process in list(self.processes.values()):
            process.kill()
            process.wait()
        emulator.stop(self.azurite)

    def misprints(self):
        """Return the names of the outputs that hold a traceback or the account's key."""

        paths = [path for path in self.folder.iterdir() if path.is_file()]
        texts = {path.name: path.read_text(encoding="utf-8", errors="replace") for path in paths}
        return [name for name, text in texts.items() if "Traceback" in text or emulator.KEY in text]


def main():
    """Run one campaign and print its table; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, default=1000, metavar="N")
    parser.add_argument("--kills", type=int, default=20, metavar="N")
    parser.add_argument("--outages", type=int, default=2, metavar="N")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), metavar="N")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # the SDK's packages warn on Python 3.8
    began = time.monotonic()
    folder = tempfile.mkdtemp(prefix="chaos-")
    campaign = Campaign(folder, options.seed)
    campaign.run(options.orders, options.kills, options.outages)
    count, misprints = campaign.count, campaign.misprints()
    lost = options.orders - len(campaign.arrivals) - count["poisoned"]
    print()
    for title, value in [
        ("sent", count["sent"]),
        ("arrived", len(campaign.arrivals)),
        ("duplicates", sum(campaign.arrivals.values()) - len(campaign.arrivals)),
        ("poisoned", count["poisoned"]),
        ("lost", lost),
        ("requests sent", count["requests"]),
        ("answered", count["answered"]),
        ("answered wrongly", count["wrong"]),
        ("kills", count["kills"]),
        ("outages", count["outages"]),
        ("seconds", round(time.monotonic() - began)),
    ]:
        print(f"{title:<17}{value:>6}")
    if lost or count["wrong"] or misprints:
        print(
            f"\nFailed. The same schedule again: --seed {options.seed}. What was printed: {folder}"
        )
        print("".join(f"A traceback or a key is in {name}\n" for name in misprints), end="")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    environment.run(main)
