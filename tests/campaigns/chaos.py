"""Try to lose a message: kill scripts and stop Azurite while orders and requests flow.

python tests/campaigns/chaos.py --orders 10000 --kills 200 --outages 10

Two copies of each poller run. Orders are sent with the producer, and again where it did not say that
it sent one; with each of its runs comes a request. The schedule of kills (SIGKILL; TerminateProcess on
Windows) and outages follows from the seed. Exit code 0 if each order that was sent arrived or is in a
poison queue, and no reply is wrong (one is missing where the requestor was killed, or said why).
"""

import argparse
import contextlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for the support package
from suite.helpers.orders import order
from support import emulator, environment, processes, queues
from support.topology import ARRIVED, ONE_SHOTS, POLLERS, REPLY, SENT

STARTED = [f"{script}-{copy}" for script in POLLERS for copy in "AB"]  # at first
CHUNK = 50  # orders that one run of the producer sends
STALL = 4  # seconds until the next kill comes even if nothing arrives
DRAIN = 240  # seconds that the end may take: leases of 30 s, one after another
COUNTED = ["answered", "not answered", "answered wrongly", "kills", "outages"]


class Campaign:
    """One run: the emulator, the scripts' processes by name, and what is known so far."""

    def __init__(self, folder, seed):
        self.folder, self.random = Path(folder), random.Random(seed)
        self.azurite, self.port = emulator.start_azurite(self.folder / "azurite")
        self.storage = queues.open_account(emulator.connection_string(self.port))
        self.processes = {}
        self.sent, self.count = set(), dict.fromkeys(COUNTED, 0)

    def start(self, name, *arguments, **options):
        """Start the script that the name begins with; what it prints is added to the name's file."""
        script, connection = name.split("-")[0], self.storage.connection
        with open(self.folder / f"{name}.txt", "ab") as output:
            self.processes[name] = processes.start_script(
                script, *arguments, connection=connection, stdout=output, **options
            )
        return self.processes[name]

    def printed(self, names):
        """Return what the scripts of these names (as those of files, with *) have printed."""
        paths = self.folder.glob(f"{names}.txt")
        return "".join(path.read_text(encoding="utf-8") for path in paths)

    def arrived(self):
        """Return the IDs of the orders that the final consumers have printed."""
        return processes.order_ids(processes.said(self.printed("final_consumer.py-*"), ARRIVED))

    def kill(self):
        """Kill a script that the seed chooses, if it runs; start it again if it is a poller."""
        chosen = self.random.choice(STARTED + ONE_SHOTS)
        for name, process in list(self.processes.items()):
            if name.startswith(chosen) and process.poll() is None:
                process.kill()
                process.wait()
                self.count["kills"] += 1
        if chosen in STARTED:
            self.start(chosen)

    def outage(self):
        """Stop Azurite for a while; its data is on disk."""
        emulator.stop_azurite(self.azurite)
        time.sleep(self.random.uniform(0.5, 3))
        self.azurite, _ = emulator.start_azurite(self.folder / "azurite", self.port)
        self.count["outages"] += 1

    def send(self, count):
        """Send so many orders, each until the producer says that it is sent, and requests meanwhile."""
        while len(self.sent) < count:
            number = len(self.processes)
            rest = [n for n in range(count) if f"ORD-{n}" not in self.sent]
            requestor = self.start(f"requestor.py-{number}", "request", number)
            producer = self.start(f"pipe_producer.py-{number}", "-", stdin=subprocess.PIPE)
            producer.communicate("\n".join(map(order, rest[:CHUNK])))
            said = processes.said(self.printed(f"pipe_producer.py-{number}"), SENT)
            self.sent.update(processes.order_ids(said))
            requestor.wait()
            self.count[self.verdict(number)] += 1

    def verdict(self, number):
        """Return under which title the request of this number counts."""
        replies = processes.said(self.printed(f"requestor.py-{number}"), REPLY)
        code = self.processes[f"requestor.py-{number}"].returncode
        if code and not replies:  # it was killed, or said why
            return "not answered"
        return "answered" if replies == [f"REQUEST {number}"] else "answered wrongly"

    def run(self, count, kills, outages):
        """Send so many orders, run the schedule, and wait until every queue is empty.

        Return the IDs of what is in the poison queues.
        """
        events = [self.kill] * kills + [self.outage] * outages
        self.random.shuffle(events)
        for name in STARTED:
            self.start(name)
        sender = threading.Thread(target=self.send, args=[count], daemon=True)
        sender.start()
        queues.wait_until(self.arrived)
        for number, event in enumerate(events, 1):
            goal = count * number // (len(events) + 1)
            with contextlib.suppress(RuntimeError):
                queues.wait_until(lambda goal=goal: len(self.arrived()) >= goal, STALL, pause=0.3)
            time.sleep(self.random.uniform(0, 0.2))
            event()
            print(f"{len(self.arrived())} of {count} arrived, then: {event.__name__}", flush=True)
        queues.wait_until(lambda: not sender.is_alive(), float("inf"))
        with contextlib.suppress(RuntimeError):
            queues.wait_until(lambda: queues.all_done(self.storage), DRAIN, pause=0.3)
        return set(processes.order_ids(queues.poisoned(self.storage)))

    def close(self):
        """Stop all that was started."""
        for process in list(self.processes.values()):
            process.kill()
            process.wait()
        emulator.stop_azurite(self.azurite)


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
    sent, arrived, printed = campaign.sent, campaign.arrived(), campaign.printed("*")
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
    print("", *[f"{title:<18}{value:>7}" for title, value in table.items()], sep="\n")
    faults = {
        f"Lost: {', '.join(sorted(lost))}": lost,
        "Not all was sent.": len(sent) < options.orders,
        "A reply is wrong.": table["answered wrongly"],
        "A script printed a traceback.": "Traceback" in printed,
        "A script printed the key.": emulator.KEY in printed,
    }
    if any(faults.values()):
        print("", *[fault for fault, found in faults.items() if found], sep="\n")
        print(f"What was printed: {folder}\nThe same schedule again: --seed {options.seed}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    environment.run_tool(main)
