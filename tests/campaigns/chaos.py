"""Try to lose a message: kill scripts and stop Azurite while orders and requests flow.

Two copies of each poller run. Orders are sent with the producer, and again where it did not say that
it sent one; with each of its runs comes a request. The schedule of kills (SIGKILL; TerminateProcess on
Windows) and outages follows from the seed. Exit code 0 if each order that was sent arrived or is in a
poison queue, and each reply is right, or missing only where the requestor was killed or said why (its
exit code is 1). Without kills and outages, the memory that is shown tells whether a poller grows.
"""

import argparse
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
from support import emulator, environment, queues, scripts
from support.orders import all_done, order_ids, poisoned, said
from support.topology import ARRIVED, POLLERS, REPLY, SENT

COPIES = 2
CHUNK = 50  # orders that one run of the producer sends
STALL = 4  # seconds until the next kill comes even if nothing arrives
DRAIN = 240  # seconds that the end may take: leases of 30 s, one after another
COUNTED = ["answered", "requestors killed", "told why not", "answered wrongly", "kills", "outages"]


class Campaign:
    """One run: the emulator, the scripts' processes by name, and what is known so far."""

    def __init__(self, folder, seed):
        self.folder, self.random = Path(folder), random.Random(seed)
        self.azurite, self.port = emulator.start(self.folder / "azurite")
        self.storage = queues.account(emulator.connection_string(self.port))
        self.pollers = {f"{script}-{copy}": script for script in POLLERS for copy in range(COPIES)}
        self.processes, self.killed, self.shown = {}, [], 0
        self.sent, self.count = set(), dict.fromkeys(COUNTED, 0)

    def start(self, name, script, *arguments, **options):
        """Start a script under this name; what it prints is added to the file of this name."""
        with open(self.folder / f"{name}.txt", "ab") as output:
            self.processes[name] = scripts.start(
                script, *arguments, connection=self.storage.connection, stdout=output, **options
            )
        return self.processes[name]

    def printed(self, names):
        """Return what the scripts of these names (as those of files, with *) have printed."""
        paths = self.folder.glob(f"{names}.txt")
        return "".join(path.read_text(encoding="utf-8") for path in paths)

    def arrived(self):
        """Return the orders that the final consumers have printed."""
        return said(self.printed("final_consumer.py-*"), ARRIVED)

    def kill(self):
        """Kill a script that the seed chooses; start it again if it is a poller."""
        name = self.random.choice([*self.pollers, "producer", "requestor"])
        for process in [self.processes[n] for n in list(self.processes) if n.startswith(name)]:
            if process.poll() is None:
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
        while len(self.sent) < len(orders):
            chunk = [text for name, text in orders.items() if name not in self.sent][:CHUNK]
            name = f"producer-{len(self.processes)}"
            process = self.start(name, "pipe_producer.py", "-", stdin=subprocess.PIPE)
            process.communicate("\n".join(chunk))
            self.sent.update(order_ids(said(self.printed(name), SENT)))

    def ask(self, orders):
        """Ask one request for each chunk of so many orders, and check each reply."""
        for number in range(0, orders, CHUNK):
            queues.wait_until(lambda number=number: len(self.sent) >= number, float("inf"))
            name = f"requestor-{number}"
            process = self.start(name, "requestor.py", "request", number)
            code, replies = process.wait(), said(self.printed(name), REPLY)
            if replies == [f"REQUEST {number}"]:
                self.count["answered"] += 1
            elif not replies and process in self.killed:
                self.count["requestors killed"] += 1
            elif not replies and code == 1:
                self.count["told why not"] += 1
            else:
                self.count["answered wrongly"] += 1

    def wait(self, condition, seconds):
        """Wait until the condition is true, at most so many seconds; say how far it is now and then."""
        import psutil

        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.3)
            if time.monotonic() < self.shown + 5:
                continue
            self.shown = time.monotonic()
            pids = [self.processes[name].pid for name in self.pollers]
            memory = max(psutil.Process(pid).memory_info().rss for pid in pids) / 2**20
            text = f"{len(self.sent)} sent, {len(self.arrived())} arrived, "
            text += f"{self.count['kills']} kills, {self.count['outages']} outages, "
            print(f"{text}a poller has {memory:.1f} MiB at most", flush=True)

    def run(self, count, kills, outages):
        """Send so many orders, run the schedule, and wait until every queue is empty.

        Return the IDs of what is in the poison queues.
        """
        events = [self.kill] * kills + [self.outage] * outages
        self.random.shuffle(events)
        orders = {
            f"ORD-{n}": json.dumps({"order_id": f"ORD-{n}", "amount": 1, "note": "x" * (n % 90)})
            for n in range(count)
        }
        for name, script in self.pollers.items():
            self.start(name, script)
        sender = threading.Thread(target=self.send, args=[orders], daemon=True)
        asker = threading.Thread(target=self.ask, args=[count], daemon=True)
        sender.start()
        asker.start()
        for number, event in enumerate(events, 1):
            goal = count * number // (len(events) + 1)
            self.wait(lambda goal=goal: len(self.arrived()) >= goal, STALL)
            time.sleep(self.random.uniform(0, 0.2))
            event()
        self.wait(lambda: not (sender.is_alive() or asker.is_alive()), float("inf"))
        self.wait(lambda: all_done(self.storage), DRAIN)
        return set(order_ids(poisoned(self.storage)))

    def close(self):
        """Stop all that was started."""
        for process in list(self.processes.values()):
            process.kill()
            process.wait()
        emulator.stop(self.azurite)


def main():
    """Run one campaign and print its table; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, default=1000, metavar="N")
    parser.add_argument("--kills", type=int, default=20, metavar="N")
    parser.add_argument("--outages", type=int, default=2, metavar="N")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), metavar="N")
    options = parser.parse_args()
    began = time.monotonic()
    folder = tempfile.mkdtemp(prefix="chaos-")
    campaign = Campaign(folder, options.seed)
    try:
        put_aside = campaign.run(options.orders, options.kills, options.outages)
    finally:
        campaign.close()
    sent, arrived = campaign.sent, order_ids(campaign.arrived())
    lost = sent.difference(arrived, put_aside)
    table = {
        "sent": len(sent),
        "arrived": len(set(arrived)),
        "duplicates": len(arrived) - len(set(arrived)),
        "poisoned": len((sent & put_aside).difference(arrived)),
        "lost": len(lost),
        **campaign.count,
        "seconds": round(time.monotonic() - began),
    }
    print()
    for title, value in table.items():
        print(f"{title:<18}{value:>7}")
    faults = [f"Lost: {', '.join(sorted(lost))}"] if lost else []
    if len(sent) < options.orders or table["answered wrongly"]:
        faults.append("Not all was sent, or a reply is wrong.")
    if "Traceback" in campaign.printed("*") or emulator.KEY in campaign.printed("*"):
        faults.append("A script printed a traceback, or the key.")
    if faults:
        print("", *faults, f"What was printed: {folder}", sep="\n")
        print(f"The same schedule again: --seed {options.seed}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    environment.run(main)
