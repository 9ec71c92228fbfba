"""Filter B: add the time of processing to each order, and pass it on.

queue-enrich -> [python filter_enrich.py] -> queue-finalize

The queues are in a storage account of Azure (Microsoft's cloud), or in Azurite, which imitates one
on your computer. A client is the object through which a program calls the account or a queue. A
received message is only hidden; if it is not deleted in the visibility timeout, it appears again.
"""

import datetime
import json
import os
import sys
import time
import traceback

from azure.core.exceptions import AzureError, ClientAuthenticationError, ResourceExistsError
from azure.storage.queue import LinearRetry, QueueServiceClient
from dotenv import load_dotenv

INPUT_QUEUE = "queue-enrich"
OUTPUT_QUEUE = "queue-finalize"
POISON_QUEUE = "queue-enrich-poison"  # for messages that cannot be processed
MAX_DEQUEUE_COUNT = 5  # a message received more often than that goes to the poison queue
BATCH_SIZE = 8  # messages that one call receives (at most 32); for slow work, set 1
VISIBILITY_TIMEOUT = 30  # seconds that a batch is hidden: the time for the work on all of it
POLL_INTERVAL = 0.5  # seconds until the next look into an empty queue


def enrich(order):
    """Add the time of processing to the order (a dict). Put your own work here."""
    order["processed_at"] = datetime.datetime.now(datetime.timezone.utc).isoformat()


def parse(text):
    """Return the text, a JSON object, as a dict; raise ValueError if it is anything else."""
    data = json.loads(text)  # ValueError if it is not JSON
    if not isinstance(data, dict):
        raise ValueError("not a JSON object")
    return data


def handle(msg, output_client, poison_client):
    """Process a message; main() deletes it from the input queue afterwards."""
    print(f"[Filter B] Received: {msg.content}")
    try:
        if msg.dequeue_count > MAX_DEQUEUE_COUNT:
            raise ValueError(f"received {msg.dequeue_count} times")
        order = parse(msg.content)
    except ValueError as error:  # raised above, or by parse()
        poison_client.send_message(msg.content, time_to_live=-1)  # -1: it never expires
        print(f"[Filter B] Bad message moved to '{POISON_QUEUE}': {error}.")
        return
    enrich(order)
    print("[Filter B] Enriched data. Passing to final queue.")
    result = json.dumps(order, ensure_ascii=False)  # Japanese stays readable
    output_client.send_message(result, time_to_live=-1)


def main():
    """Process messages. AzureError in create() or a receive ends it; the last lines restart it."""
    service = connect()
    input_client = service.get_queue_client(INPUT_QUEUE)
    output_client = service.get_queue_client(OUTPUT_QUEUE)
    poison_client = service.get_queue_client(POISON_QUEUE)
    create(input_client, output_client, poison_client)
    print("[Filter B: Enrich] Waiting for messages...")
    while True:
        # This asks for batch after batch, until the queue is empty.
        for msg in input_client.receive_messages(
            messages_per_page=BATCH_SIZE, visibility_timeout=VISIBILITY_TIMEOUT
        ):
            try:
                handle(msg, output_client, poison_client)
                input_client.delete_message(msg)  # last: a crash can repeat the work, not lose it
            except AzureError as error:  # a send or the delete failed: the message may come back
                print(f"[Filter B] Storage error: {error}".split("\n")[0])  # its first line
                create(input_client, output_client, poison_client)  # in case a queue was deleted
            except Exception:  # the work failed, or there is a mistake in the code
                traceback.print_exc(file=sys.stdout)  # the error, to where print() writes
                print("[Filter B] Failed. The message will come back.")
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
                sys.exit(f"[Filter B] Wrong key in .env? {error}".split("\n")[0])
            except AzureError as error:  # start again: the messages are safe in the queues
                print(f"[Filter B] Storage error: {error}".split("\n")[0])
                time.sleep(2)  # seconds
    except KeyboardInterrupt:  # Ctrl+C
        print("[Filter B] Stopped.")
