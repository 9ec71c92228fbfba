"""Requestor: [requestor.py] -> request-queue -> [replier.py] -> reply queue -> [requestor.py]."""

import contextlib
import json
import logging
import os
import signal
import sys
import time
import uuid

try:
    from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
    from azure.storage.queue import LinearRetry, QueueServiceClient
    from dotenv import load_dotenv
except ImportError as error:
    sys.exit(f"{error}. Activate the virtual environment, then: pip install -r requirements.txt")
except KeyboardInterrupt:
    print("[Requestor] Stopped.", file=sys.stderr)
    sys.exit(130)

REQUEST_QUEUE, MAX_MESSAGE_SIZE = "request-queue", 65536  # bytes, the most that a queue takes
REPLY_TIMEOUT, POLL_INTERVAL = 50, 0.1  # seconds; the request lives no longer than the wait
BATCH = {"messages_per_page": 32, "max_messages": 32, "visibility_timeout": 30}  # seconds
RETRY = LinearRetry(backoff=0.2, retry_total=1, random_jitter_range=0)  # seconds; 3.8 in all
CALL = {"connection_timeout": 1.8, "read_timeout": 1.8, "retry_policy": RETRY}  # seconds


def receive(queue, correlation_id, deadline):
    """Return the reply (a dict) with this correlation ID, or {} if the deadline passes first."""
    while time.monotonic() < deadline:
        for msg in queue.receive_messages(**BATCH):
            with contextlib.suppress(ValueError, RecursionError):  # neither is our reply
                reply = json.loads(msg.content)
                if isinstance(reply, dict) and reply.get("correlation_id") == correlation_id:
                    return reply
            print("[Requestor] Discarding a message that is not the reply to this request.")
            with contextlib.suppress(ResourceNotFoundError):  # a second try finds it gone
                queue.delete_message(msg)
        time.sleep(POLL_INTERVAL)
    return {}


def main():
    """Send a request, with the arguments as payload; exit with 0 and its result, else with 1."""
    try:
        load_dotenv(encoding="utf-8-sig")
        setting = os.getenv("AZURE_STORAGE_CONNECTION_STRING", "")
        service = QueueServiceClient.from_connection_string(setting, **CALL)
        if "<" in setting or not setting.isascii() or len(service.primary_hostname) > 85:
            raise ValueError("A part of it is a placeholder or wrong.")
    except (OSError, ValueError) as error:
        why = str(error).split("http")[0]  # without the SDK's URL, which may hold a key
        sys.exit(f"AZURE_STORAGE_CONNECTION_STRING is not set. {why} Copy .env.example to .env.")
    request_queue = service.get_queue_client(REQUEST_QUEUE)
    reply_queue = service.get_queue_client(f"reply-queue-{uuid.uuid4()}")
    correlation_id = str(uuid.uuid4())
    request = {"payload": " ".join(sys.argv[1:]) or "hello world"}
    request.update(reply_to=reply_queue.queue_name, correlation_id=correlation_id)
    size, reply, tidy = len(json.dumps(request)), None, False
    if size > MAX_MESSAGE_SIZE:
        sys.exit(f"The request has {size} bytes, but a message at most {MAX_MESSAGE_SIZE}.")
    try:
        while reply is None:
            create(request_queue)
            tidy = True  # from here on there may be a reply queue to delete
            create(reply_queue)
            print(f"[Requestor] Created reply queue: '{reply_queue.queue_name}'")
            print(f"[Requestor] Sending request with Correlation ID: {correlation_id}")
            try:
                request_queue.send_message(json.dumps(request), time_to_live=REPLY_TIMEOUT)
                print("[Requestor] Waiting for reply...")
                reply = receive(reply_queue, correlation_id, time.monotonic() + REPLY_TIMEOUT)
            except (ResourceExistsError, ResourceNotFoundError) as error:
                explain(error, service.primary_hostname)  # exits unless a queue is gone
        text = str(reply.get("result", reply.get("error")))  # a line break shows as \n
        text = "".join(c if c.isprintable() or c == "\u3000" else repr(c)[1:-1] for c in text)
        if reply:
            print(f"[Requestor] {'Reply' if 'result' in reply else 'Error reply'} received: {text}")
        else:
            print("[Requestor] Timed out waiting for a reply.")
    except (AzureError, SyntaxError, TypeError, ValueError) as error:  # no answer, or a proxy's
        print(f"[Requestor] {explain(error, service.primary_hostname)}", file=sys.stderr)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # not even a second Ctrl+C leaves it behind
        if tidy:
            try:
                with contextlib.suppress(ResourceNotFoundError):  # a second try finds it gone
                    reply_queue.delete_queue()  # before the print, which can fail, too
                print("[Requestor] Deleting reply queue.")
            except (AzureError, SyntaxError, TypeError, ValueError):
                print("[Requestor] The reply queue may be left. Delete it.", file=sys.stderr)
    sys.exit(0 if reply and "result" in reply else 1)


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
        print("[Requestor] Stopped.", file=sys.stderr)
        sys.exit(130)
    except OSError as error:  # nobody reads the output any more, or the disk is full
        sys.exit(f"[Requestor] Stopped: {error}.")
