"""Replier: answer each request, in the reply queue that it names.

request-queue -> [python replier.py] -> reply-queue-...

The queues are in a storage account of Azure (Microsoft's cloud), or in Azurite, which imitates one
on your computer. A client is the object through which a program calls the account or a queue. A
received message is only hidden; if it is not deleted in the visibility timeout, it appears again.
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
REPLY_QUEUE_PATTERN = "reply-queue-[0-9a-f-]{36}"  # regular expression: 36 times 0-9, a-f or -
POISON_QUEUE = "request-queue-poison"  # for messages that cannot be processed
MAX_DEQUEUE_COUNT = 5  # a message received more often than that goes to the poison queue
BATCH_SIZE = 8  # messages that one call receives (at most 32); for slow work, set 1
VISIBILITY_TIMEOUT = 30  # seconds that a batch is hidden: the time for the work on all of it
POLL_INTERVAL = 0.5  # seconds until the next look into an empty queue


def work(payload):
    """Return the result for a payload. Put your own work here."""
    return str(payload).upper()


def parse(text):
    """Return the text, a JSON object, as a dict; raise ValueError if it is anything else."""
    data = json.loads(text)  # ValueError if it is not JSON
    if not isinstance(data, dict):
        raise ValueError("not a JSON object")
    return data


def make_reply(req_data):
    """Return the reply to a request (a dict) as JSON, with the error if the work fails."""
    correlation_id = req_data.get("correlation_id")
    try:
        res_data = {"result": work(req_data["payload"]), "correlation_id": correlation_id}
        reply = json.dumps(res_data, ensure_ascii=False)  # Japanese stays readable
        if len(reply.encode("utf-8")) > 65536:  # bytes: more does not fit into a message
            raise ValueError("the result does not fit into a message")
        return reply
    except Exception as error:  # answer this, too: the requestor must not wait in vain
        traceback.print_exc(file=sys.stdout)  # the error, to where print() writes
        res_data = {"error": repr(error), "correlation_id": correlation_id}
        return json.dumps(res_data, ensure_ascii=False)


def handle(msg, service, poison_client):
    """Process a message; main() deletes it from the request queue afterwards."""
    print(f"[Replier] Request received: {msg.content}")
    try:
        if msg.dequeue_count > MAX_DEQUEUE_COUNT:
            raise ValueError(f"received {msg.dequeue_count} times")
        req_data = parse(msg.content)
        reply_to = str(req_data.get("reply_to"))  # "None" if the request names no queue
        if not re.fullmatch(REPLY_QUEUE_PATTERN, reply_to):  # no request may name another queue
            raise ValueError("reply_to is not a reply queue")
    except ValueError as error:
        poison_client.send_message(msg.content, time_to_live=-1)  # -1: it never expires
        print(f"[Replier] Bad message moved to '{POISON_QUEUE}': {error}.")
        return
    reply = make_reply(req_data)
    service.get_queue_client(reply_to).send_message(reply)  # no time_to_live: its queue goes first
    print(f"[Replier] Sent reply to '{reply_to}': {reply}")


def main():
    """Process messages. AzureError in create() or a receive ends it; the last lines restart it."""
    service = connect()
    request_client = service.get_queue_client(REQUEST_QUEUE)
    poison_client = service.get_queue_client(POISON_QUEUE)
    create(request_client, poison_client)
    print("[Replier] Waiting for requests...")
    while True:
        # This asks for batch after batch, until the queue is empty.
        for msg in request_client.receive_messages(
            messages_per_page=BATCH_SIZE, visibility_timeout=VISIBILITY_TIMEOUT
        ):
            try:
                handle(msg, service, poison_client)
                request_client.delete_message(msg)  # last: a crash can repeat the work, not lose it
            except AzureError as error:  # a send or the delete failed: the message may come back
                print(f"[Replier] Storage error: {error}".split("\n")[0])  # its first line
                create(request_client, poison_client)  # in case a queue was deleted
            except Exception:  # a mistake in this code
                traceback.print_exc(file=sys.stdout)  # the error, to where print() writes
                print("[Replier] Failed. The message will come back.")
        time.sleep(POLL_INTERVAL)


def connect():
    """Return a client of the storage account that .env names; exit if that is missing or wrong."""
    try:
        load_dotenv()  # turn the lines of the file .env into environment variables
        service = QueueServiceClient.from_connection_string(
            os.getenv("AZURE_STORAGE_CONNECTION_STRING", ""),  # the account's address and key
            connection_timeout=4,  # seconds to wait for a connection
            read_timeout=4,  # seconds to wait for the answer to a call
            retry_policy=LinearRetry(retry_total=1, backoff=0),  # a failed call: again, in 0 to 3 s
        )
        service.primary_hostname.encode("idna")  # checks the address: ValueError if it is malformed
        return service
    except ValueError:
        sys.exit("AZURE_STORAGE_CONNECTION_STRING is not set, or wrong. See .env.example.")


def create(*clients):
    """Create the queues of these clients (any number), unless they are there."""
    for client in clients:
        try:
            client.create_queue()
        except ResourceExistsError as error:
            if error.error_code == "QueueBeingDeleted":
                raise  # pass it on: Azure is still deleting the old queue; main() ends


if __name__ == "__main__":  # if this file is started, not imported
    if hasattr(sys.stdout, "reconfigure"):  # the output of IDLE and Jupyter has no such method
        # Show each line at once. Of a character that cannot be shown, show the code; do not crash.
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    try:
        while True:
            try:
                main()
            except ClientAuthenticationError as error:  # an AzureError that waiting does not cure
                sys.exit(f"[Replier] Wrong key in .env? {error}".split("\n")[0])
            except AzureError as error:  # start again: the messages are safe in the queues
                print(f"[Replier] Storage error: {error}".split("\n")[0])
                time.sleep(2)  # seconds
    except KeyboardInterrupt:  # Ctrl+C
        print("[Replier] Stopped.")
