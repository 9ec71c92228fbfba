"""Final consumer: print each order that came through the pipeline.

queue-finalize -> [final_consumer.py]
"""

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
    sys.exit(print("[Final Consumer] Stopped."))

INPUT_QUEUE = "queue-finalize"
BATCH = {"messages_per_page": 32, "visibility_timeout": 30}  # seconds: 0.9 for each message
MIN_WAIT, MAX_WAIT = 0.05, 0.5  # seconds between looks into an empty queue; 5 saves 90 % of calls
CALL = {"connection_timeout": 3, "read_timeout": 3, "retry_total": 0}  # seconds; main() retries


def handle(msg, source):
    """Print the message, then delete it: a crash in between repeats it, but loses nothing."""
    text = "".join(c if c.isprintable() or c == "\u3000" else repr(c)[1:-1] for c in msg.content)
    print(f"[Final Consumer] Fully processed message received: {text}")
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
    source = service.get_queue_client(INPUT_QUEUE)
    wait, told = MIN_WAIT, False
    while True:
        try:
            with contextlib.suppress(ResourceExistsError):
                source.create_queue()
            source.get_queue_properties()  # an error as long as Azure is still deleting it
            print("[Final Consumer] Waiting for processed messages...")
            told = False
            while True:
                for msg in source.receive_messages(**BATCH):
                    handle(msg, source)
                    wait = MIN_WAIT
                time.sleep(wait)
                wait = min(1.2 * wait, MAX_WAIT)
        except AzureError as error:
            line = explain(error, service)
            if not told:
                print(f"[Final Consumer] {line}")
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
        print("[Final Consumer] Stopped.")
