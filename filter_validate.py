"""Filter A: check each order, and pass on the valid ones.

queue-validate -> [python filter_validate.py] -> queue-enrich

The queues are in Azure Storage, or in its emulator Azurite. A received message stays in its queue,
hidden for the visibility timeout. When its work is done, it is deleted; else it appears again.
"""

import json
import os
import sys
import time
import traceback

from azure.core.exceptions import AzureError, ClientAuthenticationError, ResourceExistsError
from azure.storage.queue import LinearRetry, QueueServiceClient
from dotenv import load_dotenv

INPUT_QUEUE = "queue-validate"
OUTPUT_QUEUE = "queue-enrich"
POISON_QUEUE = "queue-validate-poison"  # for messages that cannot be processed
MAX_DEQUEUE_COUNT = 5  # a message that was received more often goes to the poison queue
VISIBILITY_TIMEOUT = 30  # seconds that a received message is hidden
BATCH_SIZE = 32  # messages a call (a page), at most 32; all must be done in VISIBILITY_TIMEOUT
MIN_WAIT = 0.05  # seconds until the next look into an empty queue; doubles from look to look
MAX_WAIT = 0.5  # seconds, where the doubling ends


def validate(order):
    """Return whether the order (a dict) is valid. Put your own check here."""
    amount = order.get("amount")
    return isinstance(amount, (int, float)) and amount > 0


def parse(msg):
    """Return the JSON object in a message as a dict; raise ValueError if it cannot be used."""
    if msg.dequeue_count > MAX_DEQUEUE_COUNT:
        raise ValueError(f"received {msg.dequeue_count} times")
    data = json.loads(msg.content)  # ValueError if it is not JSON
    if not isinstance(data, dict):
        raise ValueError("not a JSON object")
    return data


def handle(msg, output_client, poison_client):
    """Process a message; main() deletes it from the input queue afterwards."""
    print(f"[Filter A] Received: {msg.content}")
    try:
        order = parse(msg)
    except ValueError as error:
        poison_client.send_message(msg.content, time_to_live=-1)  # -1: it never expires
        print(f"[Filter A] Bad message moved to '{POISON_QUEUE}': {error}.")
        return
    if validate(order):
        print("[Filter A] Validation successful. Passing to next filter.")
        output_client.send_message(msg.content, time_to_live=-1)
    else:
        print("[Filter A] Validation failed. Discarding message.")


def main():
    """Process messages; raise AzureError when storage cannot be used."""
    service = connect()
    input_client = service.get_queue_client(INPUT_QUEUE)
    output_client = service.get_queue_client(OUTPUT_QUEUE)
    poison_client = service.get_queue_client(POISON_QUEUE)
    create(input_client, output_client, poison_client)
    print("[Filter A: Validate] Waiting for messages...")
    wait = MIN_WAIT
    while True:
        for msg in input_client.receive_messages(  # call by call, until the queue is empty
            messages_per_page=BATCH_SIZE, visibility_timeout=VISIBILITY_TIMEOUT
        ):
            wait = MIN_WAIT
            try:
                handle(msg, output_client, poison_client)
                input_client.delete_message(msg)  # last, so that a crash loses nothing
            except AzureError as error:  # a send or the delete failed: the message may come back
                print(f"[Filter A] Storage error: {error}".split("\n")[0])  # its first line
                create(input_client, output_client, poison_client)  # if that fails, main() ends
            except Exception:  # any other: a mistake in the code
                traceback.print_exc(file=sys.stdout)
                print("[Filter A] Failed. The message will come back.")
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
                sys.exit(f"[Filter A] Wrong key in .env? {error}".split("\n")[0])
            except AzureError as error:  # start again: all that matters is in the queues
                print(f"[Filter A] Storage error: {error}".split("\n")[0])
                time.sleep(2)  # seconds
    except KeyboardInterrupt:
        print("[Filter A] Stopped.")
