"""Fixtures: an Azurite, a storage account of its own for each test, and the scripts as processes."""

import base64
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import emulator
import pexpect
import pytest
from azure.storage.queue import QueueServiceClient
from hypothesis import settings
from pexpect.popen_spawn import PopenSpawn

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))
NAME = "AZURE_STORAGE_CONNECTION_STRING"
TIMEOUT = 20  # seconds until a test gives up waiting for an event
ACCOUNTS = {
    f"account{n}": base64.b64encode(b"secret key of account %d" % n).decode() for n in range(500)
}
UNUSED = itertools.count()
settings.register_profile("suite", database=None, deadline=None, max_examples=100)
settings.load_profile("suite")


@pytest.fixture(scope="session")
def azurite(tmp_path_factory):
    """The port of an Azurite with all ACCOUNTS, for this pytest worker."""
    process, port = emulator.start(tmp_path_factory.mktemp("azurite"), accounts=ACCOUNTS)
    yield port
    emulator.stop(process)


@pytest.fixture
def storage(azurite):
    """An empty account: its connection string, key, and service client."""
    name = f"account{next(UNUSED)}"
    connection = emulator.connection_string(azurite, name, ACCOUNTS[name])
    return SimpleNamespace(
        connection=connection,
        key=ACCOUNTS[name],
        service=QueueServiceClient.from_connection_string(connection),
    )


@pytest.fixture
def variables(storage):
    """The environment of the scripts: this test's account, whatever is in a user's .env."""
    return dict(
        {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"},
        AZURE_STORAGE_CONNECTION_STRING=storage.connection,
        NO_PROXY="127.0.0.1",
        no_proxy="127.0.0.1",
        PYTHONIOENCODING="utf-8",
        PYTHONWARNINGS="ignore",  # the SDK's packages warn on Python 3.8
    )


@pytest.fixture
def start(variables, storage):
    """Return start(script, *arguments, **changed_variables): a script as a process to expect lines of.

    At the end no output may hold a traceback or the account's key.
    """
    started = []

    def start(script, *arguments, **changes):
        folder = Path(changes.pop("folder", PROJECT))
        log = Log()
        process = PopenSpawn(
            [sys.executable, str(folder / script), *arguments],
            timeout=TIMEOUT,
            env=dict(variables, **changes),
            encoding="utf-8",
            logfile=log,
        )
        process.log = log
        started.append(process)
        return process

    yield start
    for process in started:
        process.proc.kill()
        process.proc.wait()
        process.read()
        text = process.log.text
        assert "Traceback" not in text, text
        assert storage.key not in text, text


class Log:
    """All that a process has printed so far, in text; pexpect writes into it."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        """Add the text."""
        self.text += text

    def flush(self):
        """Do nothing; pexpect wants it."""


@pytest.fixture
def altered(tmp_path):
    """Return altered(script, old, new, ...): a folder with a copy of the script, each old made new."""

    def altered(script, *changes):
        text = (PROJECT / script).read_text(encoding="utf-8")
        for old, new in zip(changes[::2], changes[1::2]):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (tmp_path / script).write_text(text, encoding="utf-8")
        return tmp_path

    return altered


@pytest.fixture
def run(variables, storage):
    """Return run(script, *arguments, input=None, **changed_variables): its CompletedProcess."""

    def run(script, *arguments, input=None, folder=PROJECT, **changes):
        result = subprocess.run(
            [sys.executable, str(Path(folder) / script), *arguments],
            input=input,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={k: v for k, v in dict(variables, **changes).items() if v is not None},
            timeout=TIMEOUT + 50,
            check=False,
        )
        result.out = result.stdout.decode("utf-8", "replace").replace("\r\n", "\n")
        result.err = result.stderr.decode("utf-8", "replace").replace("\r\n", "\n")
        assert "Traceback" not in result.out + result.err, result.err
        assert storage.key not in result.out + result.err
        return result

    return run


SCRIPTS = [
    "pipe_producer.py",
    "filter_validate.py",
    "filter_enrich.py",
    "final_consumer.py",
    "replier.py",
    "requestor.py",
]
ONE_SHOTS = ["pipe_producer.py", "requestor.py"]
POLLERS = [script for script in SCRIPTS if script not in ONE_SHOTS]


def via(port, storage):
    """Return the account's connection string by way of a proxy on this port."""
    return re.sub(r":\d+/", f":{port}/", storage.connection)


def interrupt(process):
    """Press Ctrl+C in the process's terminal; return (what it printed since then, exit code).

    As a person does, press once more if nothing happens: Python drops a KeyboardInterrupt that is
    raised in a finalizer, such as the one of each HTTP response (seen once in some thousand times).
    """
    process.kill(signal.SIGINT)
    if process.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=5):
        process.kill(signal.SIGINT)
        process.expect(pexpect.EOF)
    return process.before.replace("\r\n", "\n"), process.proc.wait(timeout=TIMEOUT)


def printed(process):
    """Kill the process; return all that it has printed."""
    process.proc.kill()
    process.read()
    return process.log.text


def wait_until(condition, timeout=TIMEOUT):
    """Return the condition's first true value; fail if none comes within the timeout (seconds)."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {timeout} s: {condition}")


def queue_of(storage, name):
    """Return the client of a queue that is there, made if need be."""
    if name not in queues(storage):
        storage.service.create_queue(name)
    return storage.service.get_queue_client(name)


def send(storage, name, *texts):
    """Send the texts to a queue, made if need be."""
    queue = queue_of(storage, name)
    for text in texts:
        queue.send_message(text)


def queues(storage):
    """Return the names of the account's queues."""
    return [queue.name for queue in storage.service.list_queues()]


def take(storage, name, count=1):
    """Return the contents of the queue's next messages, deleted, once there are count of them."""
    queue, contents = queue_of(storage, name), []

    def enough():
        for message in queue.receive_messages(messages_per_page=32, visibility_timeout=60):
            contents.append(message.content)
            queue.delete_message(message)
        return len(contents) >= count

    wait_until(enough)
    return contents


def depth(storage, name):
    """Return how many messages are in the queue, the invisible ones too; 0 if there is no queue."""
    if name not in queues(storage):
        return 0
    return storage.service.get_queue_client(name).get_queue_properties().approximate_message_count
