"""Filter B: queue-enrich -> [filter_enrich.py] -> queue-finalize, with the time of processing."""

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
    print("[Filter B] Stopped.", file=sys.stderr)
    sys.exit(0)

INPUT_QUEUE, OUTPUT_QUEUE = "queue-enrich", "queue-finalize"
MAX_MESSAGE_SIZE = 65536  # bytes, the most that a queue takes
MAX_DEQUEUE_COUNT = 5  # deliveries, as in Azure Functions; what comes more often is bad
BATCH = {"messages_per_page": 32, "visibility_timeout": 30}  # seconds; work over 0.9 s: take fewer
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
    if not isinstance(data := json.loads(msg.content), dict):
        raise ValueError("it is not a JSON object")
    json.dumps(data, allow_nan=False)  # a ValueError if there is NaN or Infinity: that is not JSON
    return data


def handle(msg, source, target, poison):
    """Send the message on, then delete it: a crash in between repeats it, but loses nothing."""
    text = "".join(c if c.isprintable() or c == "\u3000" else repr(c)[1:-1] for c in msg.content)
    print(f"[Filter B] Received: {text}")  # a line break shows as \n
    try:
        now = datetime.datetime.now(datetime.timezone.utc)
        result = json.dumps(enrich(parse(msg), now), allow_nan=False)
        if len(result) > MAX_MESSAGE_SIZE:
            raise ValueError(f"it grew to {len(result)} of at most {MAX_MESSAGE_SIZE} bytes")
    except (ValueError, RecursionError) as error:
        with contextlib.suppress(ResourceExistsError):
            poison.create_queue()
        poison.send_message(msg.content, time_to_live=-1)  # it never expires
        print(f"[Filter B] Bad message moved to '{poison.queue_name}': {error}.")
    except Exception as error:  # the work failed: the message comes back, at most 5 times
        print(f"[Filter B] Failed: {error!r}. The message will come back.")
        return
    else:
        print("[Filter B] Enriched data. Passing to final queue.")
        target.send_message(result)
    source.delete_message(msg)


def main():
    """Poll the input queue until Ctrl+C, and keep trying while storage is away."""
    try:
        load_dotenv(encoding="utf-8-sig")
        setting = os.getenv("AZURE_STORAGE_CONNECTION_STRING", "")
        service = QueueServiceClient.from_connection_string(setting, **CALL)
        if "<" in setting or not setting.isascii() or len(service.primary_hostname) > 85:
            raise ValueError("A part of it is a placeholder or wrong.")
    except (OSError, ValueError) as error:
        why = str(error).split("http")[0]  # without the SDK's URL, which may hold a key
        sys.exit(f"AZURE_STORAGE_CONNECTION_STRING is not set. {why} Copy .env.example to .env.")
    names = (INPUT_QUEUE, OUTPUT_QUEUE, INPUT_QUEUE + "-poison")
    source, target, poison = map(service.get_queue_client, names)
    wait, told = MIN_WAIT, None
    while True:
        try:
            for queue in (source, target):
                with contextlib.suppress(ResourceExistsError):
                    queue.create_queue()
                queue.peek_messages()  # an error as long as Azure is still deleting it
            print("[Filter B: Enrich] Waiting for messages...")
            told = None
            while True:
                for msg in source.receive_messages(**BATCH):
                    handle(msg, source, target, poison)
                    wait = MIN_WAIT
                time.sleep(wait)
                wait = min(1.2 * wait, MAX_WAIT)
        except (AzureError, SyntaxError, TypeError, ValueError) as error:  # no answer, or a proxy's
            before, told = told, explain(error, service.primary_hostname)
            if told != before:
                print(f"[Filter B] {told}")
            time.sleep(MAX_WAIT)


def explain(error, host):
    """Return a line on what went wrong with storage; exit with it if trying again cannot help."""
    code, status = getattr(error, "error_code", None), getattr(error, "status_code", None) or 0
    if code in ("MessageNotFound", "PopReceiptMismatch"):
        return "Visibility timeout exceeded, or the message is gone. It may be processed twice."
    if code in ("QueueNotFound", "QueueBeingDeleted"):
        return "A queue is gone. The next try creates it."
    if 400 <= status < 500 and status not in (408, 429) or "Signing" in type(error).__name__:
        sys.exit(f"{host} refuses ({error.message.splitlines()[0]}). Is the key in .env right?")
    return f"{host} cannot be reached. Is Azurite running?"


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)
    logging.getLogger("azure").addHandler(logging.NullHandler())  # explain() says what matters
    try:
        main()
    except KeyboardInterrupt:
        print("[Filter B] Stopped.", file=sys.stderr)
    except OSError as error:  # nobody reads the output any more, or the disk is full
        sys.exit(f"[Filter B] Stopped: {error}.")
