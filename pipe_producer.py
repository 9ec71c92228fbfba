"""Producer: send an order into the pipeline, or all orders of a file.

[pipe_producer.py] -> queue-validate

python pipe_producer.py         sends the order below
python pipe_producer.py FILE    sends each line of the file as an order ("-": of what you type)
"""

import json
import os
import sys

from azure.core.exceptions import AzureError, ClientAuthenticationError, ResourceExistsError
from azure.storage.queue import LinearRetry, QueueServiceClient
from dotenv import load_dotenv

OUTPUT_QUEUE = "queue-validate"
ORDER = {"order_id": "ORD-123", "amount": 25000, "items": ["item-A", "item-B"]}


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
        try:
            queue_client.send_message(order, time_to_live=-1)  # -1: it never expires
        except AzureError as error:
            sys.exit(f"Line {number} was not sent: {error}".split("\n")[0])
        print(f"-> Sent to '{OUTPUT_QUEUE}': {order}")
    print("Producer finished.")


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


if __name__ == "__main__":
    # In a pipe, too, show each line at once, and what the pipe has no character for as \uXXXX.
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    try:
        main()
    except KeyboardInterrupt:
        print("Producer stopped.")
        sys.exit(130)
    except ClientAuthenticationError as error:
        sys.exit(f"Wrong key in .env? {error}".split("\n")[0])
    except AzureError as error:
        sys.exit(f"Storage error: {error}".split("\n")[0])
