"""Filter B: add to each order when it was processed.

queue-enrich -> [filter_enrich.py] -> queue-finalize
"""

import contextlib
import datetime
import json
import logging
import os
import sys
import time

try:
    from azure.core.exceptions import AzureError, ResourceExistsError
    from azure.storage.queue import QueueServiceClient
    from dotenv import load_dotenv
except ImportError as error:
    sys.exit(f"{error}. Activate the virtual environment, then: pip install -r requirements.txt")
except KeyboardInterrupt:
    sys.exit(print("[Filter B] Stopped."))

INPUT_QUEUE, OUTPUT_QUEUE = "queue-enrich", "queue-finalize"
MAX_MESSAGE_SIZE = 65536  # bytes, the most that a queue takes
MAX_DEQUEUE_COUNT = 5  # deliveries, as in Azure Functions; what comes more often is bad
BATCH = {"messages_per_page": 32, "visibility_timeout": 30}  # seconds: 0.9 for each message
MIN_WAIT, MAX_WAIT = 0.05, 0.5  # seconds between looks into an empty queue; 5 saves 90 % of calls
CALL = {"connection_timeout": 3, "read_timeout": 3, "retry_total": 0}  # seconds; main() retries


def enrich(order, now):
    """Return the order (a dict) with the time (a datetime with zone). Your work goes here."""
    return {**order, "processed_at": now.isoformat()}


def parse(msg):
    """Return the JSON object in a message as a dict; raise ValueError or RecursionError if bad."""
    if msg.dequeue_count > MAX_DEQUEUE_COUNT:
        raise ValueError(f"it was delivered {msg.dequeue_count} times")
    if msg.content.startswith(("ey", "ew")):  # '{' in Base64
        raise ValueError("it looks like Base64; send plain text instead")
    data = json.loads(msg.content)
    if isinstance(data, dict) and json.dumps(data, allow_nan=False):  # NaN raises: it is not JSON
        return data
    raise ValueError("it is not a JSON object")


def handle(msg, source, target, poison):
    """Send the message on, then delete it: a crash in between repeats it, but loses nothing."""
    text = "".join(c if c.isprintable() or c == "\u3000" else repr(c)[1:-1] for c in msg.content)
    print(f"[Filter B] Received: {text}")
    try:
        now = datetime.datetime.now(datetime.timezone.utc)
        result = json.dumps(enrich(parse(msg), now))
        if len(result) > MAX_MESSAGE_SIZE:
            raise ValueError(f"it grew to {len(result)} of at most {MAX_MESSAGE_SIZE} bytes")
        print("[Filter B] Enriched data. Passing to final queue.")
        target.send_message(result)
    except (ValueError, RecursionError) as error:
        with contextlib.suppress(ResourceExistsError):
            poison.create_queue()
        poison.send_message(msg.content)
        print(f"[Filter B] Bad message moved to '{poison.queue_name}': {error}.")
    source.delete_message(msg)


def main():
    """Poll the input queue until Ctrl+C, and keep trying while storage is away."""
    try:
        load_dotenv(encoding="utf-8-sig")
        setting = os.getenv("AZURE_STORAGE_CONNECTION_STRING", "")
        if "<" in setting:
            raise ValueError("It is a placeholder.")
        service = QueueServiceClient.from_connection_string(setting, **CALL)
    except (OSError, ValueError) as error:
        sys.exit(f"AZURE_STORAGE_CONNECTION_STRING is not set. {error} Copy .env.example to .env.")
    names = (INPUT_QUEUE, OUTPUT_QUEUE, INPUT_QUEUE + "-poison")
    source, target, poison = map(service.get_queue_client, names)
    wait, told = MIN_WAIT, False
    while True:
        try:
            for queue in (source, target):
                with contextlib.suppress(ResourceExistsError):
                    queue.create_queue()
                queue.get_queue_properties()  # an error as long as Azure is still deleting it
            print("[Filter B: Enrich] Waiting for messages...")
            told = False
            while True:
                for msg in source.receive_messages(**BATCH):
                    handle(msg, source, target, poison)
                    wait = MIN_WAIT
                time.sleep(wait)
                wait = min(1.2 * wait, MAX_WAIT)
        except AzureError as error:
            line = explain(error, service)
            if not told:
                print(f"[Filter B] {line}")
            told = True
            time.sleep(MAX_WAIT)


def explain(error, service):
    """Return a line on what went wrong with storage; exit with it if trying again cannot help."""
    code, endpoint = getattr(error, "error_code", None), service.url.split("?")[0]  # without a SAS
    if code in ("MessageNotFound", "PopReceiptMismatch"):
        return "Visibility timeout exceeded. The message may be processed twice."
    if code in ("QueueNotFound", "QueueBeingDeleted"):
        return "A queue is gone. Creating it again."
    if getattr(error, "status_code", 0) in range(400, 500) or "Signing" in repr(error):  # a bad key
        reason = error.message.splitlines()[0]
        sys.exit(f"{endpoint} refuses ({reason}). Key in .env? Azurite with --skipApiVersionCheck?")
    return f"{endpoint} cannot be reached. Is Azurite running?"


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)
    logging.basicConfig(level=logging.CRITICAL)  # the SDK raises what it logs
    try:
        main()
    except KeyboardInterrupt:
        print("[Filter B] Stopped.")
