"""Try to lose a message: kill scripts and stop Azurite while orders and requests flow.

python tests/campaigns/chaos.py --orders 10000 --kills 200 --outages 10

Two copies of each poller run. Orders are sent with the producer, and again where it did not say that
it sent one; with each of its runs comes a request. Kills (SIGKILL; TerminateProcess on Windows) and
outages follow from the seed. Exit code 0 if each order that was sent arrived or is in a poison queue,
and no reply is wrong (one is missing where the requestor was killed, or said why).
"""

import argparse
import contextlib
import random
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for the support package
from suite.helpers.orders import order
from support import emulator, environment, processes, queues
from support.topology import ARRIVED, ONE_SHOTS, POLLERS, REPLY, SENT

COPIES = [f"{script}-{copy}" for script in POLLERS for copy in "AB"]
COUNTED = ["answered", "not answered", "answered wrongly", "kills", "outages"]


class Campaign:
    """The emulator, the last process of each name, the lines that all printed, and some counts."""

    def __init__(self, seed):
        self.folder, self.random = Path(tempfile.mkdtemp(prefix="chaos-")), random.Random(seed)
        self.azurite, self.port = emulator.start_azurite(self.folder)
        self.storage = queues.open_account(emulator.connection_string(self.port))
        self.processes, self.lines, self.count = {}, [], dict.fromkeys(COUNTED, 0)

    def start(self, name, *arguments):
        """Start the script that the name begins with, and a thread that reads it; return its process."""

        def read():
            with process:
                for line in process.stdout:  # if this tool is killed, the script ends as it prints
                    self.lines.append(f"{name:<20} | {line}")

        script, connection = name.split("-")[0], self.storage.connection
        process = processes.start_script(script, *arguments, connection=connection)
        process.reader = threading.Thread(target=read, daemon=True)
        process.reader.start()
        self.processes[name] = process
        return process

    def said(self, start):
        """Return what comes after start in the scripts' lines: an order's ID, or the text."""
        parts = [line.partition(f" | {start}") for line in self.lines]
        return processes.order_ids([rest.rstrip() for _, found, rest in parts if found])

    def kill(self):
        """Kill a script that the seed chooses, if it runs; start it again if it is a poller."""
        chosen = self.random.choice(COPIES + ONE_SHOTS)
        process = self.processes[chosen]
        self.count["kills"] += process.poll() is None
        process.kill()
        process.reader.join()
        if chosen in COPIES:
            self.start(chosen)

    def outage(self):
        """Stop Azurite for a while; its data is on disk."""
        emulator.stop_azurite(self.azurite)
        time.sleep(self.random.uniform(0.5, 3))
        self.azurite, _ = emulator.start_azurite(self.folder, self.port)
        self.count["outages"] += 1

    def send(self, count):
        """Send so many orders, each until the producer says that it is sent, and requests meanwhile."""
        file, rest, number, before = self.folder / "orders.jsonl", range(count), 0, 0
        while rest:
            number += 1
            file.write_text("\n".join(map(order, rest[:50])))
            requestor = self.start("requestor.py", "request", number)
            self.start("pipe_producer.py", file).reader.join()
            requestor.reader.join()
            replies = self.said(REPLY)[before:]
            before += len(replies)
            if replies == [f"REQUEST {number}"]:
                self.count["answered"] += 1
            elif requestor.returncode and not replies:  # it was killed, or said why
                self.count["not answered"] += 1
            else:
                self.count["answered wrongly"] += 1
            sent = set(self.said(SENT))
            rest = [n for n in range(count) if f"ORD-{n}" not in sent]

    def run(self, count, kills, outages):
        """Send so many orders, run the schedule, and return the IDs of what is poisoned at the end."""
        events = [self.kill] * kills + [self.outage] * outages
        self.random.shuffle(events)
        for name in COPIES:
            self.start(name)
        sender = threading.Thread(target=self.send, args=[count], daemon=True)
        sender.start()
        queues.wait_until(lambda: self.said(ARRIVED))
        for number, event in enumerate(events, 1):
            goal = count * number // (len(events) + 1)
            with contextlib.suppress(RuntimeError):  # after 4 s, even if nothing arrives
                queues.wait_until(lambda goal=goal: len(self.said(ARRIVED)) >= goal, 4, pause=0.3)
            event()
            arrived = len(self.said(ARRIVED))
            print(f"{arrived} of {count} arrived, then: {event.__name__}", flush=True)
        queues.wait_until(lambda: not sender.is_alive(), float("inf"))
        with contextlib.suppress(RuntimeError):  # leases of 30 s may end one after another
            queues.wait_until(lambda: queues.all_done(self.storage), timeout=240, pause=0.3)
        return set(processes.order_ids(queues.poisoned(self.storage)))

    def close(self):
        """Stop all that was started, and leave what was printed in the folder."""
        for process in list(self.processes.values()):
            process.kill()
            process.reader.join()
        emulator.stop_azurite(self.azurite)
        (self.folder / "printed.txt").write_text("".join(self.lines), encoding="utf-8")


def main():
    """Run one campaign and print its table; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    defaults = {"orders": 1000, "kills": 20, "outages": 2, "seed": random.randrange(10**6)}
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N")
    options, began = parser.parse_args(), time.monotonic()
    with contextlib.closing(Campaign(options.seed)) as campaign:
        put_aside = campaign.run(options.orders, options.kills, options.outages)
    sent, arrived = set(campaign.said(SENT)), campaign.said(ARRIVED)
    lost, printed = sent.difference(arrived, put_aside), "".join(campaign.lines)
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
    if not any(faults.values()):
        shutil.rmtree(campaign.folder, ignore_errors=True)
        return 0
    print("", *[fault for fault, found in faults.items() if found], sep="\n")
    print(f"What was printed: {campaign.folder}\nThe same schedule again: --seed {options.seed}")
    return 1


if __name__ == "__main__":
    environment.run_tool(main)
