"""Does a poller's memory grow? Send many messages through each, in one process.

python tests/growth.py [--messages N] [--first N]

Exit code 0 if each poller's memory (resident set) at the end is within 10 % of what it was after the
first messages.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
import warnings
from pathlib import Path

import environment

LIMIT = 1.1
AHEAD = 500  # messages in the queue at most
REPLY_QUEUE = f"reply-queue-{uuid.UUID(int=0)}"
MESSAGE = {
    "amount": 1,
    "payload": "x",
    "reply_to": REPLY_QUEUE,
    "correlation_id": "1",
    "note": "x" * 900,
}
QUEUES = {
    "filter_validate.py": ("queue-validate", "queue-enrich"),
    "filter_enrich.py": ("queue-enrich", "queue-finalize"),
    "final_consumer.py": ("queue-finalize", None),
    "replier.py": ("request-queue", REPLY_QUEUE),
}


def feed(service, names, sent, goal):
    """Send messages until goal are sent, and wait until the queue is empty; return the new count."""
    source = service.get_queue_client(names[0])
    while sent < goal:
        for _ in range(min(AHEAD, goal - sent)):
            source.send_message(json.dumps({**MESSAGE, "number": sent}))
            sent += 1
        while source.get_queue_properties().approximate_message_count:
            time.sleep(0.1)
        if names[1]:
            service.get_queue_client(names[1]).clear_messages()
    return sent


def measure(script, connection, first, messages):
    """Return the script's memory in KiB after the first messages and after all of them."""
    import psutil
    from azure.core.exceptions import ResourceExistsError
    from azure.storage.queue import QueueServiceClient

    service = QueueServiceClient.from_connection_string(connection)
    for name in filter(None, QUEUES[script]):
        with contextlib.suppress(ResourceExistsError):
            service.create_queue(name)
    process = subprocess.Popen(
        [sys.executable, str(environment.PROJECT / script)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=dict(os.environ, AZURE_STORAGE_CONNECTION_STRING=connection, PYTHONWARNINGS="ignore"),
    )
    try:
        sent = feed(service, QUEUES[script], 0, first)
        before = psutil.Process(process.pid).memory_info().rss
        feed(service, QUEUES[script], sent, messages)
        return before // 1024, psutil.Process(process.pid).memory_info().rss // 1024
    finally:
        process.kill()
        process.wait()


def main():
    """Measure each poller; return the exit code."""
    import emulator

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=20000, metavar="N")
    parser.add_argument("--first", type=int, default=1000, metavar="N")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # the SDK's packages warn on Python 3.8
    os.environ.update(NO_PROXY="127.0.0.1", no_proxy="127.0.0.1")
    grown = False
    with tempfile.TemporaryDirectory() as folder:
        azurite, port = emulator.start(Path(folder))
        try:
            print(f"KiB after {options.first} and {options.messages} messages; ratio", flush=True)
            for script in QUEUES:
                connection = emulator.connection_string(port)
                before, after = measure(script, connection, options.first, options.messages)
                grown = grown or after > before * LIMIT
                title = script[:-3].replace("_", " ")
                print(f"{title:<16} {before:>7} {after:>7} {after / before:>6.3f}", flush=True)
        finally:
            emulator.stop(azurite)
    return 1 if grown else 0


if __name__ == "__main__":
    environment.run(main)
