"""Producer: send an order into the pipeline, or all orders of a file.

[pipe_producer.py] -> queue-validate

python pipe_producer.py [FILE]    sends the order below, or each line of FILE ("-": what you type)
"""

import json
import os
import re
import sys

from azure.core.exceptions import AzureError, ClientAuthenticationError, ResourceExistsError
from azure.storage.queue import LinearRetry, QueueServiceClient
from dotenv import load_dotenv

OUTPUT_QUEUE = "queue-validate"
ORDER = {"order_id": "ORD-123", "amount": 25000, "items": ["item-A", "item-B"]}
REFUSED = r"[\x00-\x08\x0a-\x1f\ufffe\uffff]"  # characters that no message can hold, such as Esc


def read(path):
    """Yield the lines of a file in UTF-8, or of standard input if the path is "-"."""
    try:
        with open(0 if path == "-" else path, encoding="utf-8-sig") as file:  # 0: standard input
            yield from file
    except (OSError, UnicodeError) as error:
        sys.exit(f"Cannot read {path}: {error}")


def main():
    """Send the order, or the orders of the file."""
    queue_client = connect().get_queue_client(OUTPUT_QUEUE)
    lines = read(sys.argv[1]) if len(sys.argv) > 1 else [json.dumps(ORDER, ensure_ascii=False)]
    try:
        queue_client.create_queue()
        print(f"Queue '{OUTPUT_QUEUE}' created.")
    except ResourceExistsError:
        pass  # it is there already
    print("Sending order to the pipeline...")
    for number, line in enumerate(lines, 1):
        order = line.strip()
        if not order:
            continue
        found = re.search(REFUSED, order)
        if found:
            sys.exit(f"Stopped at line {number}: a message cannot hold {ascii(found.group())}.")
        try:
            queue_client.send_message(order, time_to_live=-1)  # -1: it never expires
        except AzureError as error:
            sys.exit(f"Stopped at line {number}: {error}".split("\n")[0])  # its first line
        print(f"-> Sent to '{OUTPUT_QUEUE}': {order}")
    print("Producer finished.")


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


if __name__ == "__main__":  # if this file is started, not imported
    if hasattr(sys.stdout, "reconfigure"):  # the output of IDLE and Jupyter has no such method
        # Show each line at once. Of a character that cannot be shown, show the code; do not crash.
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    try:
        main()
    except KeyboardInterrupt:  # Ctrl+C
        print("Producer stopped.")
        sys.exit(130)  # the usual exit code after Ctrl+C
    except ClientAuthenticationError as error:  # an AzureError: so it must come first
        sys.exit(f"Wrong key in .env? {error}".split("\n")[0])
    except AzureError as error:
        sys.exit(f"Storage error: {error}".split("\n")[0])
