"""Final consumer: print each order that comes out of the pipeline.

queue-finalize -> [python final_consumer.py]

The queues are in a storage account of Azure (Microsoft's cloud), or in Azurite, which imitates one
on your computer. A client is the object through which a program calls the account or a queue. A
received message is only hidden; if it is not deleted in the visibility timeout, it appears again.

Nothing here can fail as work can. For work of your own, start from filter_enrich.py.
"""

import os
import sys
import time

from azure.core.exceptions import AzureError, ClientAuthenticationError, ResourceExistsError
from azure.storage.queue import LinearRetry, QueueServiceClient
from dotenv import load_dotenv

INPUT_QUEUE = "queue-finalize"
BATCH_SIZE = 8  # messages that one call receives (at most 32); for slow work, set 1
VISIBILITY_TIMEOUT = 30  # seconds that a batch is hidden: the time for the work on all of it
POLL_INTERVAL = 0.5  # seconds until the next look into an empty queue


def main():
    """Process messages. AzureError in create() or a receive ends it; the last lines restart it."""
    service = connect()
    input_client = service.get_queue_client(INPUT_QUEUE)
    create(input_client)
    print("[Final Consumer] Waiting for processed messages...")
    while True:
        # This asks for batch after batch, until the queue is empty.
        for msg in input_client.receive_messages(
            messages_per_page=BATCH_SIZE, visibility_timeout=VISIBILITY_TIMEOUT
        ):
            try:
                print(f"[Final Consumer] Fully processed message received: {msg.content}")
                input_client.delete_message(msg)  # last: a crash can repeat the work, not lose it
            except AzureError as error:  # the delete failed: the message may come back
                print(f"[Final Consumer] Storage error: {error}".split("\n")[0])  # its first line
                create(input_client)  # in case the queue was deleted
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
                sys.exit(f"[Final Consumer] Wrong key in .env? {error}".split("\n")[0])
            except AzureError as error:  # start again: the messages are safe in the queues
                print(f"[Final Consumer] Storage error: {error}".split("\n")[0])
                time.sleep(2)  # seconds
    except KeyboardInterrupt:  # Ctrl+C
        print("[Final Consumer] Stopped.")
