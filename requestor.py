"""Requestor: send a request, and wait for the reply that belongs to it.

[requestor.py] -> request-queue -> replier.py -> reply-queue-... -> [requestor.py]

python requestor.py [PAYLOAD]
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
REPLY_TIMEOUT = 50  # seconds; an older request is not delivered any more
POLL_INTERVAL = 0.1  # seconds between looks into the reply queue


def send_request(request_client, reply_to, payload):
    """Send a request, and return its correlation ID."""
    correlation_id = str(uuid.uuid4())
    req_data = {"payload": payload, "reply_to": reply_to, "correlation_id": correlation_id}
    print(f"[Requestor] Sending request with Correlation ID: {correlation_id}")
    request = json.dumps(req_data, ensure_ascii=False)  # Japanese stays readable
    request_client.send_message(request, time_to_live=REPLY_TIMEOUT)
    return correlation_id


def receive_reply(reply_client, correlation_id):
    """Return the reply (a dict) with this correlation ID, or {} if none comes in time."""
    print("[Requestor] Waiting for reply...")
    deadline = time.monotonic() + REPLY_TIMEOUT
    while time.monotonic() < deadline:
        for msg in reply_client.receive_messages():
            try:
                res_data = json.loads(msg.content)
            except ValueError:
                continue  # not a reply
            if isinstance(res_data, dict) and res_data.get("correlation_id") == correlation_id:
                return res_data
        time.sleep(POLL_INTERVAL)
    return {}


def main():
    """Send a request, print its reply, and return the exit code."""
    service = connect()
    request_client = service.get_queue_client(REQUEST_QUEUE)
    reply_client = service.get_queue_client(f"reply-queue-{uuid.uuid4()}")
    create(request_client, reply_client)
    try:
        print(f"[Requestor] Created reply queue: '{reply_client.queue_name}'")
        payload = " ".join(sys.argv[1:]) or "hello world"
        correlation_id = send_request(request_client, reply_client.queue_name, payload)
        res_data = receive_reply(reply_client, correlation_id)
        if "result" in res_data:
            print(f"[Requestor] Reply received: {res_data['result']}")
            return 0
        if "error" in res_data:
            print(f"[Requestor] Error reply received: {res_data['error']}")
        else:
            print("[Requestor] Timed out waiting for a reply.")
        return 1
    except AzureError as error:  # said before the reply queue is deleted, which can fail, too
        print(f"[Requestor] Storage error: {error}".split("\n")[0])
        return 1
    finally:
        print("[Requestor] Deleting reply queue.")
        reply_client.delete_queue()


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
        sys.exit(main())
    except KeyboardInterrupt:
        print("[Requestor] Stopped.")
        sys.exit(130)
    except ClientAuthenticationError as error:
        sys.exit(f"[Requestor] Wrong key in .env? {error}".split("\n")[0])
    except AzureError as error:
        sys.exit(f"[Requestor] Storage error: {error}".split("\n")[0])
