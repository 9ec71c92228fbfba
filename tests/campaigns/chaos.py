"""Try to lose a message: kill scripts and stop Azurite while orders and requests flow.

python tests/campaigns/chaos.py [--orders N] [--kills N] [--outages N] [--seed N] [--growth]

Two copies of each poller run. Orders are sent with the producer, and again where it did not say that
it sent one. The schedule of kills (SIGKILL; TerminateProcess on Windows) and outages follows from the
seed. Exit code 0 if each order that was sent arrived or is in a poison queue, and each reply is right,
or missing only where the requestor was killed or said why (its exit code is 1).
"""

import argparse
import collections
import contextlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for the support package
from support import emulator, environment, ledger, queues, scripts
from support.topology import POLLERS

COPIES = 2
CHUNK = 50  # orders that one run of the producer sends
SENT = "-> Sent to 'queue-validate': "
ARRIVED = "[Final Consumer] Fully processed message received: "
REPLY = "[Requestor] Reply received: "
STALL = 4  # seconds without a new arrival until the next kill comes all the same
DRAIN = 240  # seconds that the end may take: leases of 30 s, one after another
GROWTH = 10  # per cent that a poller's memory may grow once a tenth of the orders has arrived


class Campaign:
    """One run: the emulator, the scripts' processes by name, and what is known so far."""

    def __init__(self, folder, seed):
        self.folder, self.random = Path(folder), random.Random(seed)
        self.azurite, self.port = emulator.start(self.folder / "azurite")
        self.storage = queues.account(emulator.connection_string(self.port))
        self.pollers = {f"{script}-{copy}": script for script in POLLERS for copy in range(COPIES)}
        self.processes, self.killed, self.closing = {}, [], False
        self.lock, self.shown = threading.Lock(), 0
        self.count = collections.Counter()
        self.sent, self.arrived, self.poisoned = set(), collections.Counter(), {}
        self.seen = collections.Counter()  # bytes of each final consumer's output

    def start(self, name, script, *arguments, **options):
        """Start a script under this name; what it prints is added to the file of this name."""
        with self.lock, open(self.folder / name, "ab") as output:
            self.processes[name] = scripts.start(
                script, *arguments, connection=self.storage.connection, stdout=output, **options
            )
            return self.processes[name]

    def said(self, name, start):
        """Return the rest of each line of this name's output that begins so."""
        lines = (self.folder / name).read_text(encoding="utf-8").splitlines()
        return [line[len(start) :] for line in lines if line.startswith(start)]

    def kill(self):
        """Kill a script that the seed chooses; start it again if it is a poller."""
        name = self.random.choice([*self.pollers, "producer", "requestor"])
        process = self.processes.get(name)
        if process and process.poll() is None:
            self.killed.append(process)
            process.kill()
            process.wait()
            self.count["kills"] += 1
        if name in self.pollers:
            self.start(name, self.pollers[name])

    def outage(self):
        """Stop Azurite for a while; its data is on disk."""
        emulator.stop(self.azurite)
        time.sleep(self.random.uniform(0.5, 3))
        self.azurite, _ = emulator.start(self.folder / "azurite", self.port)
        self.count["outages"] += 1

    def send(self, orders):
        """Send the orders (texts by ID), each until the producer says that it is sent."""
        while len(self.sent) < len(orders) and not self.closing:
            chunk = [text for name, text in orders.items() if name not in self.sent][:CHUNK]
            name = f"producer-{self.count['producers']}"
            self.count["producers"] += 1
            process = self.start(name, "pipe_producer.py", "-", stdin=subprocess.PIPE)
            self.processes["producer"] = process
            with contextlib.suppress(BrokenPipeError):
                process.communicate("\n".join(chunk))
            self.sent.update(map(ledger.order_id, self.said(name, SENT)))

    def ask(self):
        """Ask one request after another, and check each reply."""
        while not self.closing:
            number = self.count["requests"]
            self.count["requests"] += 1
            name = f"requestor-{number}"
            process = self.start(name, "requestor.py", "request", str(number))
            self.processes["requestor"] = process
            code, replies = process.wait(), self.said(name, REPLY)
            if replies == [f"REQUEST {number}"]:
                self.count["answered"] += 1
            elif not replies and process in self.killed:
                self.count["requestors killed"] += 1
            elif not replies and code == 1:
                self.count["told why not"] += 1
            else:
                self.count["wrong"] += 1

    def look(self):
        """Count what the final consumers have printed since the last look."""
        for name in [name for name, script in self.pollers.items() if script == POLLERS[2]]:
            with open(self.folder / name, "rb") as file:
                file.seek(self.seen[name])
                whole = b"".join(line for line in file if line.endswith(b"\n"))
            self.seen[name] += len(whole)
            for line in whole.decode("utf-8").splitlines():
                if line.startswith(ARRIVED):
                    self.arrived[ledger.order_id(line[len(ARRIVED) :])] += 1

    def memory(self):
        """Return the memory of each poller, in bytes, by name."""
        import psutil

        return {
            name: psutil.Process(self.processes[name].pid).memory_info().rss
            for name in self.pollers
        }

    def progress(self):
        """Print how far it is, every few seconds."""
        if time.monotonic() < self.shown + 5:
            return
        self.shown = time.monotonic()
        done = f"{len(self.sent)} sent, {len(self.arrived)} arrived, "
        done += f"{self.count['answered']} of {self.count['requests']} requests answered, "
        print(done + f"{self.count['kills']} kills, {self.count['outages']} outages", flush=True)

    def wait(self, condition, seconds):
        """Look until the condition is true, at most for so many seconds."""
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.1)
            self.look()
            self.progress()

    def run(self, orders, kills, outages, growth):
        """Run the schedule and wait until every queue is empty; growth: measure memory, too."""
        events = [self.kill] * kills + [self.outage] * outages
        self.random.shuffle(events)
        texts = {
            f"ORD-{n}": json.dumps(
                {"order_id": f"ORD-{n}", "amount": n + 1, "note": "x" * (n % 90)}
            )
            for n in range(orders)
        }
        for name, script in self.pollers.items():
            self.start(name, script)
        sender = threading.Thread(target=self.send, args=(texts,))
        asker = threading.Thread(target=self.ask)
        sender.start()
        asker.start()
        for number, event in enumerate(events, 1):
            goal = orders * number // (len(events) + 1)
            self.wait(lambda goal=goal: len(self.arrived) >= goal, STALL)
            time.sleep(self.random.uniform(0, 0.2))
            event()
        if growth:
            self.wait(lambda: len(self.arrived) >= orders / 10, DRAIN)
            before = self.memory()
        self.wait(lambda: not sender.is_alive(), float("inf"))
        self.closing = True
        asker.join()
        self.wait(lambda: ledger.empty(self.storage), DRAIN)
        self.look()
        self.poisoned = ledger.poisoned(self.storage)
        if growth:
            grown = max(now / before[name] for name, now in self.memory().items())
            self.count["growth"] = round(100 * (grown - 1))

    def close(self):
        """Stop all that was started."""
        self.closing = True
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
    parser.add_argument("--growth", action="store_true", help="measure memory, without kills")
    options = parser.parse_args()
    if options.growth:
        options.kills = options.outages = 0
    began = time.monotonic()
    folder = tempfile.mkdtemp(prefix="chaos-")
    campaign = Campaign(folder, options.seed)
    try:
        campaign.run(options.orders, options.kills, options.outages, options.growth)
    finally:
        campaign.close()
    count, misprints = campaign.count, campaign.misprints()
    poisoned = {ledger.order_id(text) for texts in campaign.poisoned.values() for text in texts}
    lost = campaign.sent - set(campaign.arrived) - poisoned
    table = {
        "sent": len(campaign.sent),
        "arrived": len(campaign.arrived),
        "duplicates": sum(campaign.arrived.values()) - len(campaign.arrived),
        "poisoned": len(campaign.sent & poisoned - set(campaign.arrived)),
        "lost": len(lost),
        "requests": count["requests"],
        "answered": count["answered"],
        "requestors killed": count["requestors killed"],
        "told why not": count["told why not"],
        "answered wrongly": count["wrong"],
        "kills": count["kills"],
        "outages": count["outages"],
        "seconds": round(time.monotonic() - began),
    }
    if options.growth:
        table["growth in per cent"] = count["growth"]
    print()
    for title, value in table.items():
        print(f"{title:<18}{value:>7}")
    for name, texts in campaign.poisoned.items():
        print(f"In {name}: {len(texts)}, {', '.join(map(ledger.order_id, texts[:5]))} ...")
    right = not lost and table["sent"] == options.orders and not count["wrong"] and not misprints
    if right and count["growth"] <= GROWTH:
        shutil.rmtree(folder, ignore_errors=True)
        return 0
    print(f"\nFailed. The same schedule again: --seed {options.seed}. What was printed: {folder}")
    if lost:
        print(f"Lost: {', '.join(sorted(lost)[:20])}")
    for name in misprints:
        print(f"A traceback or a key is in {name}")
    return 1


if __name__ == "__main__":
    environment.run(main)
