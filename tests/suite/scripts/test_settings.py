"""AZURE_STORAGE_CONNECTION_STRING: from .env or the shell, and the ways to get it wrong."""

import base64
import re

import pytest
from azure.storage.queue import generate_account_sas

from support.queues import queue_names
from support.topology import POLLERS, PROJECT, SCRIPTS, SETTING

KEY = base64.b64encode(b"\x80" * 64).decode()  # as long as a real one
LINE = f"{SETTING} is not set, or wrong. See .env.example.\n"
WRONG = {
    "unset": None,
    "curly quotes": "\u201cAccountName=x;AccountKey=QUFB\u201d",
    "name and key changed over": f"AccountName={KEY};AccountKey=name",
    "signature as endpoint": f"QueueEndpoint=?sv=1&sig={KEY};AccountName=x;AccountKey=QUFB",
}


@pytest.fixture
def folder(altered):
    """A folder with a copy of the producer and an empty .env, so that no user's .env counts."""
    return altered("pipe_producer.py")


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_setting_is_one_line_and_exit_code_1(run, folder, kind):
    result = run("pipe_producer.py", folder=folder, **{SETTING: WRONG[kind]})
    assert (result.returncode, result.out, result.err) == (1, "", LINE)


@pytest.mark.parametrize(
    "encoding, shell, error",
    [
        ("utf-8-sig", None, ""),
        ("utf-16", None, LINE),  # as Windows PowerShell writes it with ">"
        ("utf-8", "", LINE),  # the shell wins, even with nothing
    ],
)
def test_env_file_beside_the_script_counts(run, storage, folder, encoding, shell, error):
    (folder / ".env").write_text(f'{SETTING}="{storage.connection}"\n', encoding=encoding)
    assert run("pipe_producer.py", folder=folder, **{SETTING: shell}).err == error
    assert len(queue_names(storage)) == (not error)


@pytest.mark.parametrize("script", SCRIPTS)
def test_refused_key_is_one_line_and_exit_code_1(run, storage, script):
    result = run(script, **{SETTING: storage.connection.replace(storage.key, "QUFB")})
    assert (result.returncode, result.out) == (1, "")
    assert result.err.count("\n") == 1
    assert "Wrong key in .env? Server failed to authenticate the request." in result.err


def test_readmes_sas_is_enough_for_both_patterns(start, run, storage, azurite):
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    rights = re.search(r"--resource-types (\w+) --permissions (\w+)", text).groups()
    name = storage.service.account_name
    signature = generate_account_sas(name, storage.key, *rights, "2100-01-01T00:00Z")
    endpoint = f"QueueEndpoint=http://127.0.0.1:{azurite}/{name};"
    sas = {SETTING: f"{endpoint}SharedAccessSignature={signature}"}
    terminals = {script: start(script, **sas) for script in POLLERS}
    assert run("pipe_producer.py", **sas).returncode == 0
    terminals["final_consumer.py"].expect_exact("ORD-123")
    assert run("requestor.py", **sas).returncode == 0
    assert not [name for name in queue_names(storage) if name.startswith("reply-")]
