"""Both patterns on a storage account of Azure: python tests/run.py --azure

The account is that of the variable TEST_STORAGE_CONNECTION_STRING, never the one in .env. The queues
have names of their own, and are deleted at the end.
"""

import os
import re
import uuid

import pytest

from support.queues import account, queues
from support.scripts import edited
from support.topology import NAME, POLLERS, PROJECT, READY, SCRIPTS

VARIABLE = "TEST_STORAGE_CONNECTION_STRING"


@pytest.fixture
def azure(request, tmp_path):
    """The connection string, and a folder with copies of the scripts whose queues are their own."""
    if not (request.config.getoption("--azure") and VARIABLE in os.environ):
        pytest.skip(f"needs --azure and {VARIABLE}")
    prefix = f"test-{uuid.uuid4().hex[:8]}-"
    for script in SCRIPTS:
        text = (PROJECT / script).read_text(encoding="utf-8")
        for line in re.findall('^[A-Z]+_QUEUE = "(?!reply).*', text, re.M):
            edited(
                script, tmp_path, f"\n{line}\n", "\n" + line.replace('"', f'"{prefix}', 1) + "\n"
            )
    yield os.environ[VARIABLE], tmp_path
    storage = account(os.environ[VARIABLE])
    for name in queues(storage):
        if name.startswith(prefix):
            storage.service.delete_queue(name)


def test_both_patterns_on_azure(azure, start, run):
    connection, folder = azure
    terminals = {script: start(script, folder=folder, **{NAME: connection}) for script in POLLERS}
    for script, terminal in terminals.items():
        terminal.expect_exact(READY[script])
    assert run("pipe_producer.py", folder=folder, **{NAME: connection}).returncode == 0
    terminals["final_consumer.py"].expect_exact('"order_id": "ORD-123"')
    result = run("requestor.py", folder=folder, **{NAME: connection})
    assert "[Requestor] Reply received: HELLO WORLD\n" in result.out
    assert result.returncode == 0
