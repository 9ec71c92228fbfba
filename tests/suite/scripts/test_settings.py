"""AZURE_STORAGE_CONNECTION_STRING: the accounts that it names, and the ways to get it wrong."""

import base64
import os
import re
import uuid

import pytest
from azure.storage.queue import generate_account_sas

from support.queues import open_account, queue_names
from support.topology import POLLERS, PROJECT, READY, SCRIPTS, SETTING

KEY = base64.b64encode(b"\x80" * 64).decode()  # as long as a real one
LINE = f"{SETTING} is not set, or wrong. See .env.example.\n"
TROUBLE = [  # what is said, in the words of the pages' table; what is changed in a good setting
    ("is not set, or wrong", "^.*$", "prose"),
    ("is not set, or wrong", "^.*$", "\u201cAccountName=x;AccountKey=QUFB\u201d"),
    ("is not set, or wrong", "^.*$", f"AccountName={KEY};AccountKey=name"),  # changed over
    (
        "is not set, or wrong",
        "^.*$",
        f"QueueEndpoint=?sv=1&sig={KEY};AccountName=x;AccountKey=QUFB",
    ),
    ("Failed to resolve", "^.*$", f"AccountName=x;AccountKey={KEY};EndpointSuffix=invalid"),
    ("Failed to establish a new connection", r":\d+/", ":9/"),
    ("Server failed to authenticate", "Key=.*?;", f"Key={KEY};"),
    ("Incorrect padding", "Key=.*?;", "Key=<ACCOUNT_KEY>;"),
    ("Invalid base64-encoded string", "Key=.*?;", "Key=QUFBA;"),
    ("not authorized", "", ""),  # a SAS without the right to create queues
    ("Unable to connect to proxy", "", ""),
]
PAGES = [(PROJECT / name).read_text(encoding="utf-8") for name in ("README.md", "README.ja.md")]
# Of an account for tests; the one in .env is never used.
OWN_ACCOUNT = "TEST_STORAGE_CONNECTION_STRING"


def sas(account, *rights):
    """Return a connection string for the account that allows only these resource types and permissions."""
    name = account.service.account_name
    signature = generate_account_sas(name, account.key, *rights, "2100-01-01T00:00Z")
    endpoint = account.connection[account.connection.index("QueueEndpoint") :]
    return f"{endpoint}SharedAccessSignature={signature}"


@pytest.mark.parametrize("script", SCRIPTS)
def test_refused_key_is_one_line_and_exit_code_1(error_line, storage, script):
    line = error_line(script, **{SETTING: storage.connection.replace(storage.key, "QUFB")})
    assert "Wrong key in .env? Server failed to authenticate the request." in line


@pytest.mark.parametrize("words, old, new", TROUBLE)
def test_trouble_is_one_line_with_the_words_of_the_pages_and_no_key(
    error_line, storage, words, old, new
):
    changes = {SETTING: re.sub(old, new, storage.connection)}
    if words == "not authorized":
        changes = {SETTING: sas(storage, "sco", "r")}
    if "proxy" in words:
        changes = {"http_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    line = error_line("requestor.py", **changes)
    assert words in line
    assert KEY not in line
    for text in PAGES:
        assert re.search(rf"^\| [^|]*{words}", text, re.M)


@pytest.mark.parametrize(
    "encoding, shell, error",
    [
        ("utf-8-sig", None, ""),
        ("utf-16", None, LINE),  # as Windows PowerShell writes it with ">"
        ("utf-8", "", LINE),  # the shell wins, even with nothing
    ],
)
def test_env_file_beside_the_script_counts(run_script, storage, edited, encoding, shell, error):
    folder = edited("pipe_producer.py")
    lines = f'# .env\n{SETTING}="{storage.connection}"\n'  # as in the handout
    (folder / ".env").write_text(lines, encoding=encoding)
    result = run_script("pipe_producer.py", folder=folder, **{SETTING: shell})
    assert result.err.endswith(error)  # old versions of dotenv say that the first line is odd
    assert len(queue_names(storage)) == (not error)


@pytest.fixture(params=["emulator, with the pages' SAS", "Azure"])
def shared(request, storage, tmp_path):
    """The options for start_script() and run_script(): an account, and a folder of scripts with queues apart."""
    rights = re.search(r"--resource-types (\w+) --permissions (\w+)", PAGES[0]).groups()
    connection = os.getenv(OWN_ACCOUNT) if request.param == "Azure" else sas(storage, *rights)
    if not connection:
        pytest.skip(f"needs {OWN_ACCOUNT}")
    account, prefix = open_account(connection), f"test-{uuid.uuid4().hex[:8]}-"
    others = queue_names(account)
    for script in SCRIPTS:
        text = (PROJECT / script).read_text(encoding="utf-8")
        text = re.sub('^([A-Z]+_QUEUE = ")', rf"\g<1>{prefix}", text, flags=re.M)
        (tmp_path / script).write_text(text, encoding="utf-8")
    (tmp_path / ".env").touch()
    yield {"folder": tmp_path, SETTING: connection}
    for queue in account.service.list_queues(name_starts_with=prefix):
        account.service.delete_queue(queue)
    assert queue_names(account) == others


def test_both_patterns_on_an_account_beside_the_queues_of_others(shared, start_script, run_script):
    terminals = {script: start_script(script, **shared) for script in POLLERS}
    for script, terminal in terminals.items():
        terminal.expect_exact(READY[script])
    assert run_script("pipe_producer.py", **shared).returncode == 0
    terminals["final_consumer.py"].expect_exact('"order_id": "ORD-123"')
    assert "[Requestor] Reply received: HELLO WORLD\n" in run_script("requestor.py", **shared).out
