"""Both patterns on a storage account of Azure: that of TEST_STORAGE_CONNECTION_STRING, if it is set.

The account in .env is never used. The queues have names of their own, and are deleted at the end.
"""

import os
import re
import uuid

import pytest

from support.queues import open_account
from support.topology import POLLERS, PROJECT, READY, SCRIPTS, SETTING

VARIABLE = "TEST_STORAGE_CONNECTION_STRING"


@pytest.fixture
def azure(tmp_path):
    """The options for start() and run(): the account, and a folder of scripts with queues apart."""
    if VARIABLE not in os.environ:
        pytest.skip(f"needs {VARIABLE}")
    prefix = f"test-{uuid.uuid4().hex[:8]}-"
    for script in SCRIPTS:
        text = (PROJECT / script).read_text(encoding="utf-8")
        text = re.sub('^([A-Z]+_QUEUE = ")(?!reply)', rf"\g<1>{prefix}", text, flags=re.M)
        (tmp_path / script).write_text(text, encoding="utf-8")
    yield {"folder": tmp_path, SETTING: os.environ[VARIABLE]}
    service = open_account(os.environ[VARIABLE]).service
    for queue in service.list_queues(name_starts_with=prefix):
        service.delete_queue(queue)


def test_both_patterns_on_azure(azure, start, run):
    terminals = {script: start(script, **azure) for script in POLLERS}
    for script, terminal in terminals.items():
        terminal.expect_exact(READY[script])
    assert run("pipe_producer.py", **azure).returncode == 0
    terminals["final_consumer.py"].expect_exact('"order_id": "ORD-123"')
    result = run("requestor.py", **azure)
    assert "[Requestor] Reply received: HELLO WORLD\n" in result.out
    assert result.returncode == 0
