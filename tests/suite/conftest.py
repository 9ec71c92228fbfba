"""Fixtures: an Azurite, an empty storage account for each test, and the scripts as processes."""

import base64
import contextlib
import itertools
import os
import re

import pytest

from suite.helpers import copies, proxy, terminals
from support import emulator, environment, processes, queues
from support.topology import SETTING

# A test may begin while the last call of a killed script is still under way: it has another account.
ACCOUNTS = {
    f"account{n}": base64.b64encode(b"secret key of account %d" % n).decode() for n in range(10)
}
NEXT = itertools.cycle(ACCOUNTS)
FOLDER = "\u5c71\u7530 project" + ("\t" if os.name != "nt" else "")  # as people name theirs
TRACEBACK = r"^Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*(.*)$"  # and its last line
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
def via_proxy(azurite, storage):
    """Return via_proxy(intercept): the variables of a script that reaches the account by way of a proxy."""
    with contextlib.ExitStack() as stack:

        def via_proxy(intercept):
            port = stack.enter_context(proxy.running_proxy(azurite, intercept))
            return {SETTING: storage.connection.replace(f":{azurite}/", f":{port}/")}

        yield via_proxy


@pytest.fixture
def clone(tmp_path):
    """A copy of the project for this test, without a virtual environment and .env."""
    return copies.copy_project(tmp_path / FOLDER)


@pytest.fixture
def edited(tmp_path):
    """Return edited(script, old, new, ...): a folder with a copy of the script, each old made new."""
    (tmp_path / ".env").touch()
    return lambda script, *changes: copies.edited(script, tmp_path, *changes)


def check_printed(name, text, traceback, key):
    """Show what a script printed if the test fails; assert that it could be shown to anybody.

    It may hold only the first line of an error of the SDK, never the account's key, and no traceback
    but those whose last line matches the regular expression traceback.
    """
    print(f"---- {name}\n{text}")
    assert key not in text
    assert not re.search("^(RequestId|Time|ErrorCode):", text, re.MULTILINE)
    ends = re.findall(TRACEBACK, text.replace("\r\n", "\n"), re.MULTILINE)
    assert len(ends) == text.count("Traceback")
    assert all(traceback and re.search(traceback, end) for end in ends)


@pytest.fixture
def start_script(storage):
    """Return start_script(script, *arguments, folder=None, traceback=None, **changed_variables).

    It starts the script as a process to expect lines of; what it printed is checked at the end.
    folder: as of processes.command_line().
    """
    started = []  # (process, script, traceback)

    def start_script(script, *arguments, folder=None, traceback=None, **changes):
        command = processes.command_line(script, *arguments, folder=folder)
        process = terminals.spawn(command, {**processes.variables(storage.connection), **changes})
        started.append((process, script, traceback))
        return process

    yield start_script
    for process, _, _ in started:
        process.proc.kill()
    for process, script, traceback in started:
        check_printed(script, terminals.kill_and_read(process), traceback, storage.key)


@pytest.fixture
def run_script(storage):
    """Return run_script(script, *arguments, input=b"", ...): as start_script(), but to its end.

    It returns what terminals.run_to_end() does. A changed variable that is None is removed.
    """

    def run_script(script, *arguments, input=b"", folder=None, traceback=None, **changes):
        command = processes.command_line(script, *arguments, folder=folder)
        variables = {**processes.variables(storage.connection), **changes}
        result = terminals.run_to_end(command, variables, input)
        check_printed(script, result.out + result.err, traceback, storage.key)
        return result

    return run_script


@pytest.fixture
def error_line(run_script):
    """Return error_line(...): as run_script(), but the one line of an error with exit code 1."""

    def error_line(*arguments, **options):
        result = run_script(*arguments, **options)
        assert (result.returncode, result.err.count("\n")) == (1, 1)
        return result.err

    return error_line
