"""Requestor: send a request, and wait for the reply that belongs to it.

[requestor.py] -> request-queue -> replier.py -> reply-queue-... -> [requestor.py]

python requestor.py [PAYLOAD]

The queues are in a storage account of Azure (Microsoft's cloud), or in Azurite, which imitates one
on your computer. A client is the object through which a program calls the account or a queue.
Each requestor makes a reply queue for itself. It compares the correlation ID all the same: a reply
can come twice, and any program that has the account's key can send to the queue.
"""

import json
import os
import sys
import time
import uuid

from azure.core.exceptions import AzureError, ClientAuthenticationError, ResourceExistsError
from azure.storage.queue import LinearRetry, QueueServiceClient
from dotenv import load_dotenv

REQUEST_QUEUE = "request-queue"
REPLY_TIMEOUT = 50  # seconds to wait for the reply; after that, the request expires, too
REPLY_POLL_INTERVAL = 0.1  # seconds between two looks into the reply queue


def send_request(request_client, reply_to, payload):
    """Send a request, and return its correlation ID."""
    correlation_id = str(uuid.uuid4())  # random, so no other request has the same one
    req_data = {"payload": payload, "reply_to": reply_to, "correlation_id": correlation_id}
    print(f"[Requestor] Sending request with Correlation ID: {correlation_id}")
    request = json.dumps(req_data, ensure_ascii=False)  # Japanese stays readable
    request_client.send_message(request, time_to_live=REPLY_TIMEOUT)
    return correlation_id


def receive_reply(reply_client, correlation_id):
    """Return the reply (a dict) with this correlation ID, or {} if none comes in time."""
    print("[Requestor] Waiting for reply...")
    deadline = time.monotonic() + REPLY_TIMEOUT  # seconds on a clock that never jumps
    while time.monotonic() < deadline:
        for msg in reply_client.receive_messages():  # what is there now: it does not wait
            try:
                res_data = json.loads(msg.content)
            except ValueError:
                continue  # not JSON, so not a reply
            if isinstance(res_data, dict) and res_data.get("correlation_id") == correlation_id:
                return res_data
        time.sleep(REPLY_POLL_INTERVAL)
    return {}


def main():
    """Send a request, print its reply, and return the exit code: 0 for a result, else 1."""
    payload = " ".join(sys.argv[1:]) or "hello world"  # what was typed after requestor.py, if any
    service = connect()
    request_client = service.get_queue_client(REQUEST_QUEUE)
    reply_client = service.get_queue_client(f"reply-queue-{uuid.uuid4()}")
    create(request_client, reply_client)
    try:
        print(f"[Requestor] Created reply queue: '{reply_client.queue_name}'")
        correlation_id = send_request(request_client, reply_client.queue_name, payload)
        res_data = receive_reply(reply_client, correlation_id)
        if "result" in res_data:
            print(f"[Requestor] Reply received: {res_data['result']}")
            return 0
        if "error" in res_data:
            print(f"[Requestor] Error reply received: {res_data['error']}")
        else:
            print("[Requestor] Timed out waiting for a reply.")
    except AzureError as error:  # print this before delete_queue(), which may fail, too
        print(f"[Requestor] Storage error: {error}".split("\n")[0])  # its first line
    finally:  # also after Ctrl+C
        print("[Requestor] Deleting reply queue.")
        reply_client.delete_queue()
    return 1


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
        sys.exit(main())  # 0 tells the caller that it worked
    except KeyboardInterrupt:  # Ctrl+C
        print("[Requestor] Stopped.")
        sys.exit(130)  # the usual exit code after Ctrl+C
    except ClientAuthenticationError as error:  # an AzureError: so it must come first
        sys.exit(f"[Requestor] Wrong key in .env? {error}".split("\n")[0])
    except AzureError as error:
        sys.exit(f"[Requestor] Storage error: {error}".split("\n")[0])
