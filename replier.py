"""Replier: request-queue -> [replier.py] -> reply queue, with the payload in upper case."""

import contextlib
import json
import logging
import os
import re
import sys
import time

try:
    from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
    from azure.storage.queue import QueueServiceClient
    from dotenv import load_dotenv
except ImportError as error:
    sys.exit(f"{error}. Activate the virtual environment, then: pip install -r requirements.txt")
except KeyboardInterrupt:
    print("[Replier] Stopped.", file=sys.stderr)
    sys.exit(0)

INPUT_QUEUE, REPLY_QUEUE = "request-queue", "reply-queue-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
MAX_MESSAGE_SIZE, MAX_DEQUEUE_COUNT = 65536, 5  # bytes; deliveries, as in Azure Functions
BATCH = {"messages_per_page": 32, "visibility_timeout": 30}  # seconds; work over 0.9 s: take fewer
MIN_WAIT, MAX_WAIT = 0.05, 0.5  # seconds between looks into an empty queue; 5 saves 90 % of calls
CALL = {"connection_timeout": 3, "read_timeout": 3, "retry_total": 0}  # seconds; main() retries


def answer(request):
    """Return the reply queue and the reply (a dict) to a request. Your work replaces upper()."""
    reply_to, correlation_id = request.get("reply_to"), request.get("correlation_id")
    if not re.fullmatch(REPLY_QUEUE, str(reply_to)):
        raise ValueError("reply_to is not a reply queue")
    if not isinstance(correlation_id, str) or len(correlation_id) > 100:
        raise ValueError("correlation_id is not a string of at most 100 characters")
    try:
        reply = {"result": request["payload"].upper(), "correlation_id": correlation_id}
        if len(json.dumps(reply)) > MAX_MESSAGE_SIZE:
            raise ValueError("the result does not fit into a message")
    except Exception as error:  # whatever fails, the requestor shall not wait in vain
        reply = {"error": repr(error)[:1000], "correlation_id": correlation_id}
    return reply_to, reply


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


def handle(msg, source, poison, service):
    """Send the reply, then delete the request: a crash in between repeats it, but loses nothing."""
    text = "".join(c if c.isprintable() or c == "\u3000" else repr(c)[1:-1] for c in msg.content)
    print(f"[Replier] Request received: {text}")  # a line break shows as \n
    try:
        reply_to, reply = answer(parse(msg))
    except (ValueError, RecursionError) as error:
        with contextlib.suppress(ResourceExistsError):
            poison.create_queue()
        poison.send_message(msg.content, time_to_live=-1)  # it never expires
        print(f"[Replier] Bad message moved to '{poison.queue_name}': {error}.")
    else:
        try:
            service.get_queue_client(reply_to).send_message(json.dumps(reply))
            print(f"[Replier] Sent reply to '{reply_to}': {reply}")
        except (ResourceExistsError, ResourceNotFoundError) as error:  # it is being deleted, or was
            explain(error, service.primary_hostname)  # exits unless it is gone
            print(f"[Replier] Reply queue '{reply_to}' is gone. Discarding the request.")
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
    source, poison = map(service.get_queue_client, (INPUT_QUEUE, INPUT_QUEUE + "-poison"))
    wait, told = MIN_WAIT, None
    while True:
        try:
            with contextlib.suppress(ResourceExistsError):
                source.create_queue()
            source.peek_messages()  # an error as long as Azure is still deleting it
            print("[Replier] Waiting for requests...")
            told = None
            while True:
                for msg in source.receive_messages(**BATCH):
                    handle(msg, source, poison, service)
                    wait = MIN_WAIT
                time.sleep(wait)
                wait = min(1.2 * wait, MAX_WAIT)
        except (AzureError, SyntaxError, TypeError, ValueError) as error:  # no answer, or a proxy's
            before, told = told, explain(error, service.primary_hostname)
            if told != before:
                print(f"[Replier] {told}")
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
        print("[Replier] Stopped.", file=sys.stderr)
    except OSError as error:  # nobody reads the output any more, or the disk is full
        sys.exit(f"[Replier] Stopped: {error}.")
