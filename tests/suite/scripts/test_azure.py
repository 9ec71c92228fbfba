"""Both patterns on an account that others use, too: the emulator's, and one of Azure.

The latter is that of TEST_STORAGE_CONNECTION_STRING, if it is set; the one in .env is never used.
"""

import os
import re
import uuid

import pytest

from support.queues import open_account, queue_names
from support.topology import POLLERS, PROJECT, READY, SCRIPTS, SETTING

VARIABLE = "TEST_STORAGE_CONNECTION_STRING"


@pytest.fixture(params=["emulator", "Azure"])
def shared(request, storage, tmp_path):
    """The options for start() and run(): the account, and a folder of scripts with queues apart."""
    if request.param == "Azure" and VARIABLE not in os.environ:
        pytest.skip(f"needs {VARIABLE}")
    connection = os.environ[VARIABLE] if request.param == "Azure" else storage.connection
    account, prefix = open_account(connection), f"test-{uuid.uuid4().hex[:8]}-"
    others = [name for name in queue_names(account) if not name.startswith("reply-")]
    for script in SCRIPTS:
        text = (PROJECT / script).read_text(encoding="utf-8")
        text = re.sub('^([A-Z]+_QUEUE = ")', rf"\g<1>{prefix}", text, flags=re.M)
        (tmp_path / script).write_text(text, encoding="utf-8")
    (tmp_path / ".env").touch()
    yield {"folder": tmp_path, SETTING: connection}
    for queue in account.service.list_queues(name_starts_with=prefix):
        account.service.delete_queue(queue)
    left = [name for name in queue_names(account) if not name.startswith("reply-")]
    assert left == others


def test_both_patterns_with_queues_of_names_of_their_own(shared, start, run):
    terminals = {script: start(script, **shared) for script in POLLERS}
    for script, terminal in terminals.items():
        terminal.expect_exact(READY[script])
    assert run("pipe_producer.py", **shared).returncode == 0
    terminals["final_consumer.py"].expect_exact('"order_id": "ORD-123"')
    result = run("requestor.py", **shared)
    assert "[Requestor] Reply received: HELLO WORLD\n" in result.out
    assert result.returncode == 0
