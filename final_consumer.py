"""Final consumer: queue-finalize -> [final_consumer.py], which prints each order."""

import contextlib
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
    print("[Final Consumer] Stopped.", file=sys.stderr)
    sys.exit(0)

INPUT_QUEUE = "queue-finalize"
BATCH = {"messages_per_page": 32, "visibility_timeout": 30}  # seconds; work over 0.9 s: take fewer
MIN_WAIT, MAX_WAIT = 0.05, 0.5  # seconds between looks into an empty queue; 5 saves 90 % of calls
CALL = {"connection_timeout": 3, "read_timeout": 3, "retry_total": 0}  # seconds; main() retries


def handle(msg, source):
    """Print the message, then delete it: a crash in between repeats it, but loses nothing."""
    text = "".join(c if c.isprintable() or c == "\u3000" else repr(c)[1:-1] for c in msg.content)
    print(f"[Final Consumer] Fully processed message received: {text}")  # a line break shows as \n
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
    source = service.get_queue_client(INPUT_QUEUE)
    wait, told = MIN_WAIT, None
    while True:
        try:
            with contextlib.suppress(ResourceExistsError):
                source.create_queue()
            source.peek_messages()  # an error as long as Azure is still deleting it
            print("[Final Consumer] Waiting for processed messages...")
            told = None
            while True:
                for msg in source.receive_messages(**BATCH):
                    handle(msg, source)
                    wait = MIN_WAIT
                time.sleep(wait)
                wait = min(1.2 * wait, MAX_WAIT)
        except (AzureError, SyntaxError, TypeError, ValueError) as error:  # no answer, or a proxy's
            before, told = told, explain(error, service.primary_hostname)
            if told != before:
                print(f"[Final Consumer] {told}")
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
        print("[Final Consumer] Stopped.", file=sys.stderr)
    except OSError as error:  # nobody reads the output any more, or the disk is full
        sys.exit(f"[Final Consumer] Stopped: {error}.")
