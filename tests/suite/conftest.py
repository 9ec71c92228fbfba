"""Fixtures: an Azurite, an empty storage account for each test, and the scripts as processes."""

import base64
import contextlib
import itertools
import os
import shutil
from pathlib import Path

import pytest

from suite.helpers import copies, proxy, runs, terminals
from support import emulator, environment, processes, queues
from support.topology import PROJECT, SETTING

# A test may begin while the last call of a killed script is still under way: it has another account.
ACCOUNTS = {
    f"account{n}": base64.b64encode(b"secret key of account %d" % n).decode() for n in range(10)
}
NEXT = itertools.cycle(ACCOUNTS)
os.environ.update(environment.LOCAL)


def pytest_collection_modifyitems(items):
    """Let the slow tests start first: the whole run ends sooner."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def azurite():
    """The port of an Azurite with all ACCOUNTS, for this pytest worker."""
    with emulator.running_azurite(accounts=ACCOUNTS) as port:
        yield port


@pytest.fixture
def storage(azurite):
    """An empty account: its connection string, key, and service client."""
    name = next(NEXT)
    account = queues.open_account(emulator.connection_string(azurite, name, ACCOUNTS[name]))
    for queue in queues.queue_names(account):
        account.service.delete_queue(queue)
    return account


@pytest.fixture
def behind(azurite, storage):
    """Return behind(intercept): the variables of a script that reaches the account by way of a proxy."""
    with contextlib.ExitStack() as stack:

        def behind(intercept):
            port = stack.enter_context(proxy.running_proxy(azurite, intercept))
            return {SETTING: queues.via(port, storage)}

        yield behind


@pytest.fixture
def start(storage):
    """Return start(script, *arguments, folder=PROJECT, traceback=False, **changed_variables).

    It starts the script as a process to expect lines of. At the end no output may hold the account's
    key, or a traceback unless traceback is true.
    """
    started = []

    def start(script, *arguments, folder=PROJECT, traceback=False, **changes):
        command = processes.command_line(script, *arguments, folder=folder)
        process = terminals.spawn(command, {**processes.variables(storage.connection), **changes})
        started.append((process, traceback))
        return process

    yield start
    for process, _ in started:
        process.proc.kill()
    for process, traceback in started:
        text = terminals.printed(process)
        assert traceback or "Traceback" not in text, text
        assert storage.key not in text, text


@pytest.fixture
def altered(tmp_path):
    """Return altered(script, old, new, ...): a folder with a copy of the script, each old made new."""
    return lambda script, *changes: copies.edited(script, tmp_path, *changes)


@pytest.fixture
def clone(tmp_path):
    """A copy of the project, without its virtual environment, .env and .git."""
    ignored = shutil.ignore_patterns("venv", ".env", ".git", "__pycache__")
    return Path(shutil.copytree(str(PROJECT), str(tmp_path / "clone"), ignore=ignored))


@pytest.fixture
def run(storage):
    """Return run(script, *arguments, input=None, folder=PROJECT, traceback=False, **changes).

    It runs the script to its end and returns what runs.run_to_end() does. changes: variables; None
    removes one. The outputs are checked as those of start().
    """

    def run(script, *arguments, input=None, folder=PROJECT, traceback=False, **changes):
        command = processes.command_line(script, *arguments, folder=folder)
        result = runs.run_to_end(
            command, {**processes.variables(storage.connection), **changes}, input
        )
        assert traceback or "Traceback" not in result.out + result.err, result.err
        assert storage.key not in result.out + result.err
        return result

    return run
