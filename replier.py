"""Replier: answer each request, in the reply queue that it names.

request-queue -> [python replier.py] -> reply-queue-...

The queues are in Azure Storage, or in its emulator Azurite. A received message stays in its queue,
hidden for the visibility timeout. When its work is done, it is deleted; else it appears again.
"""

import json
import os
import re
import sys
import time
import traceback

from azure.core.exceptions import AzureError, ClientAuthenticationError, ResourceExistsError
from azure.storage.queue import LinearRetry, QueueServiceClient
from dotenv import load_dotenv

REQUEST_QUEUE = "request-queue"
REPLY_QUEUE = "reply-queue-[0-9a-f-]{36}"  # what reply_to must look like, as a regular expression
POISON_QUEUE = "request-queue-poison"  # for messages that cannot be processed
MAX_DEQUEUE_COUNT = 5  # a message that was received more often goes to the poison queue
VISIBILITY_TIMEOUT = 30  # seconds that a received message is hidden
BATCH_SIZE = 32  # messages a call (a page), at most 32; all must be done in VISIBILITY_TIMEOUT
MIN_WAIT = 0.05  # seconds until the next look into an empty queue; doubles from look to look
MAX_WAIT = 0.5  # seconds, where the doubling ends


def work(payload):
    """Return the result for a payload. Put your own work here."""
    return str(payload).upper()


def parse(msg):
    """Return the JSON object in a message as a dict; raise ValueError if it cannot be used."""
    if msg.dequeue_count > MAX_DEQUEUE_COUNT:
        raise ValueError(f"received {msg.dequeue_count} times")
    data = json.loads(msg.content)  # ValueError if it is not JSON
    if not isinstance(data, dict):
        raise ValueError("not a JSON object")
    return data


def make_reply(req_data):
    """Return the reply to a request (a dict) as JSON, with the error if the work fails."""
    correlation_id = req_data.get("correlation_id")
    try:
        res_data = {"result": work(req_data["payload"]), "correlation_id": correlation_id}
        reply = json.dumps(res_data, ensure_ascii=False)  # Japanese stays readable
        if len(reply.encode("utf-8")) > 65536:  # bytes, the most that a message holds
            raise ValueError("the result does not fit into a message")
        return reply
    except Exception as error:  # the requestor must not wait in vain
        traceback.print_exc(file=sys.stdout)
        return json.dumps({"error": repr(error), "correlation_id": correlation_id})


def handle(msg, service, poison_client):
    """Process a message; main() deletes it from the request queue afterwards."""
    print(f"[Replier] Request received: {msg.content}")
    try:
        req_data = parse(msg)
        reply_to = str(req_data.get("reply_to"))
        if not re.fullmatch(REPLY_QUEUE, reply_to):
            raise ValueError("reply_to is not a reply queue")
    except ValueError as error:
        poison_client.send_message(msg.content, time_to_live=-1)  # -1: it never expires
        print(f"[Replier] Bad message moved to '{POISON_QUEUE}': {error}.")
        return
    reply = make_reply(req_data)
    service.get_queue_client(reply_to).send_message(reply)
    print(f"[Replier] Sent reply to '{reply_to}': {reply}")


def main():
    """Process messages; raise AzureError when storage cannot be used."""
    service = connect()
    request_client = service.get_queue_client(REQUEST_QUEUE)
    poison_client = service.get_queue_client(POISON_QUEUE)
    create(request_client, poison_client)
    print("[Replier] Waiting for requests...")
    wait = MIN_WAIT
    while True:
        for msg in request_client.receive_messages(  # call by call, until the queue is empty
            messages_per_page=BATCH_SIZE, visibility_timeout=VISIBILITY_TIMEOUT
        ):
            wait = MIN_WAIT
            try:
                handle(msg, service, poison_client)
                request_client.delete_message(msg)  # last, so that a crash loses nothing
            except AzureError as error:  # a send or the delete failed: the message may come back
                print(f"[Replier] Storage error: {error}".split("\n")[0])  # its first line
                create(request_client, poison_client)  # if that fails, main() ends
            except Exception:  # any other: a mistake in the code
                traceback.print_exc(file=sys.stdout)
                print("[Replier] Failed. The message will come back.")
        time.sleep(wait)
        wait = min(2 * wait, MAX_WAIT)


def connect():
    """Return the client of the storage account in .env; exit if the setting is missing or wrong."""
    try:
        load_dotenv(encoding="utf-8-sig")  # put what .env holds (UTF-8) into os.getenv()
        setting = os.getenv("AZURE_STORAGE_CONNECTION_STRING", "")  # address and key
        # Wait 4 s for an answer, then try once more, exactly 1 s later.
        retry = LinearRetry(backoff=1, retry_total=1, random_jitter_range=0)
        service = QueueServiceClient.from_connection_string(
            setting, retry_policy=retry, connection_timeout=4, read_timeout=4
        )
        service.primary_hostname.encode("idna")  # ValueError if it breaks the rules for host names
        return service
    except ValueError:  # from any of the lines above
        sys.exit("AZURE_STORAGE_CONNECTION_STRING is not set, or wrong. See .env.example.")


def create(*clients):
    """Create the queues of any number of clients, unless they are there."""
    for client in clients:
        try:
            client.create_queue()
        except ResourceExistsError as error:
            if error.error_code != "QueueAlreadyExists":  # such as "QueueBeingDeleted"
                raise  # it ends main()


if __name__ == "__main__":
    # In a pipe, too, show each line at once, and what the pipe has no character for as \uXXXX.
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    try:
        while True:
            try:
                main()
            except ClientAuthenticationError as error:  # an AzureError that comes again each time
                sys.exit(f"[Replier] Wrong key in .env? {error}".split("\n")[0])
            except AzureError as error:  # start again: all that matters is in the queues
                print(f"[Replier] Storage error: {error}".split("\n")[0])
                time.sleep(2)  # seconds
    except KeyboardInterrupt:
        print("[Replier] Stopped.")
