"""Producer: send an order into the pipeline, or each line of a file (JSON Lines, UTF-8).

python pipe_producer.py [FILE]    "-" as FILE is standard input
[pipe_producer.py] -> queue-validate
"""

import json
import logging
import os
import re
import sys
import time

try:
    from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
    from azure.storage.queue import LinearRetry, QueueServiceClient
    from dotenv import load_dotenv
except ImportError as error:
    sys.exit(f"{error}. Activate the virtual environment, then: pip install -r requirements.txt")
except KeyboardInterrupt:
    print("Producer stopped.", file=sys.stderr)
    sys.exit(130)

OUTPUT_QUEUE = "queue-validate"
ORDER = {"order_id": "ORD-123", "amount": 25000, "items": ["item-A", "item-B"]}
MAX_MESSAGE_SIZE = 65536  # bytes, the most that a queue takes
UNSENDABLE = "[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]"  # not allowed in XML, so not in a message
RETRY = LinearRetry(backoff=0.2, retry_total=1, random_jitter_range=0)  # seconds; 3.8 in all
CALL = {"connection_timeout": 1.8, "read_timeout": 1.8, "retry_policy": RETRY}  # seconds


def check(lines, path):
    """Yield each line that is not blank; exit if one cannot be read, or fits into no message."""
    try:
        for number, line in enumerate(lines, 1):
            text = line.rstrip("\n")
            size = len(text.encode("utf-8"))
            if size > MAX_MESSAGE_SIZE:
                raise ValueError(f"line {number} has {size} bytes, of at most {MAX_MESSAGE_SIZE}")
            if re.search(UNSENDABLE, text):
                raise ValueError(f"line {number} has a character that no message may have")
            if text.strip():
                yield text
    except ValueError as error:
        sys.exit(f"Cannot read {path}: {error}. What is printed above was sent.")


def read(path):
    """Return the checked lines of a file, or of standard input as they come."""
    if path == "-":
        sys.stdin.reconfigure(encoding="utf-8-sig", newline=None)
        return check(sys.stdin, path)
    with open(path, encoding="utf-8-sig") as file:
        return list(check(file, path))


def main():
    """Send the order, or what the file holds."""
    try:
        load_dotenv(encoding="utf-8-sig")
        setting = os.getenv("AZURE_STORAGE_CONNECTION_STRING", "")
        service = QueueServiceClient.from_connection_string(setting, **CALL)
        if "<" in setting or not setting.isascii() or len(service.primary_hostname) > 85:
            raise ValueError("A part of it is a placeholder or wrong.")
    except (OSError, ValueError) as error:
        why = str(error).split("http")[0]  # without the SDK's URL, which may hold a key
        sys.exit(f"AZURE_STORAGE_CONNECTION_STRING is not set. {why} Copy .env.example to .env.")
    queue = service.get_queue_client(OUTPUT_QUEUE)
    if len(sys.argv) > 2:
        sys.exit("One FILE at most, please: python pipe_producer.py [FILE]")
    path = sys.argv[1] if len(sys.argv) == 2 else None
    try:
        orders = [json.dumps(ORDER)] if path is None else read(path)
        if create(queue):
            print(f"Queue '{OUTPUT_QUEUE}' created.")
        print("Sending order to the pipeline...")
        for order in orders:
            send(queue, order)
            shown = "".join(c if c.isprintable() or c == "\u3000" else repr(c)[1:-1] for c in order)
            print(f"-> Sent to '{OUTPUT_QUEUE}': {ORDER if path is None else shown}")
        print("Producer finished.")
    except (AzureError, SyntaxError, TypeError, ValueError) as error:  # no answer, or a proxy's
        line = explain(error, service.primary_hostname)
        sys.exit(f"{line} Only what is printed above was sent for certain.")


def create(queue):
    """Create the queue unless it is there; return whether it was created."""
    while True:
        try:
            queue.create_queue()
            return True
        except ResourceExistsError as error:
            if error.error_code != "QueueBeingDeleted":
                return False
            print(f"Queue '{queue.queue_name}' is still being deleted. Waiting...")
            time.sleep(2)


def send(queue, text):
    """Send the text; create the queue again if it is gone, as after a restart of the emulator."""
    try:
        queue.send_message(text)
    except (ResourceExistsError, ResourceNotFoundError):  # it is being deleted, or was
        create(queue)
        queue.send_message(text)


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
        print("Producer stopped.", file=sys.stderr)
        sys.exit(130)
    except OSError as error:  # FILE is not there, nobody reads the output, or the disk is full
        sys.exit(f"Producer stopped: {error}.")
