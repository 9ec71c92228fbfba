"""AZURE_STORAGE_CONNECTION_STRING: from .env or the shell, and the ways to get it wrong."""

import base64
import datetime
import re
import shutil

import pytest
from azure.storage.queue import AccountSasPermissions, ResourceTypes, generate_account_sas

from support import emulator
from support.queues import queues
from support.topology import NAME, POLLERS, PROJECT, SCRIPTS

KEY = base64.b64encode(b"\x80" * 64).decode()  # as long as a real one
LINE = f"{NAME} is not set, or wrong. See .env.example.\n"
WRONG = {
    "unset": None,
    "blank in the shell": "",
    "the handout's placeholder": "<YOUR_CONNECTION_STRING>",
    "no account": "DefaultEndpointsProtocol=https;AccountKey=QUFB",
    "curly quotes": "\u201cAccountName=x;AccountKey=QUFB\u201d",
    "name and key changed over": f"AccountName={KEY};AccountKey=name",
    "key as endpoint": f"QueueEndpoint=http://{KEY};AccountName=x;AccountKey=QUFB",
    "signature as endpoint": f"QueueEndpoint=?sv=1&sig={KEY};AccountName=x;AccountKey=QUFB",
    "a dot too many": f"AccountName=x;AccountKey={KEY};EndpointSuffix=.y",
}
REFUSED = {  # what storage or the SDK says at the first call: part of a setting, and the SDK's words
    "key that is no Base64": ("AccountKey=notbase64!!", "Invalid base64"),
    "placeholder as key": ("AccountKey=<ACCOUNT_KEY>", "Incorrect padding"),
    "wrong key": ("AccountKey=QUFB", "Server failed to authenticate the request."),
}


@pytest.fixture
def folder(tmp_path):
    """A folder with a copy of each script and an empty .env, so that no user's .env counts."""
    for script in SCRIPTS:
        shutil.copy(PROJECT / script, tmp_path)
    (tmp_path / ".env").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    "script, kind",
    [*[("filter_validate.py", kind) for kind in WRONG], *[(script, "unset") for script in SCRIPTS]],
)
def test_wrong_setting_is_one_line_and_exit_code_1(run, folder, script, kind):
    result = run(script, folder=folder, **{NAME: WRONG[kind]})
    assert (result.returncode, result.out, result.err) == (1, "", LINE)


@pytest.mark.parametrize(
    "script, kind",
    [*[("pipe_producer.py", kind) for kind in REFUSED], *[(s, "wrong key") for s in SCRIPTS[1:]]],
)
def test_refused_key_is_one_line_and_exit_code_1(run, storage, script, kind):
    part, words = REFUSED[kind]
    connection = re.sub("AccountKey=[^;]*", part, storage.connection)
    result = run(script, **{NAME: connection})
    assert (result.returncode, result.out) == (1, "")
    assert result.err.count("\n") == 1
    assert "Wrong key in .env? " + words in result.err


@pytest.mark.parametrize("script", ["pipe_producer.py", "requestor.py"])
def test_host_that_does_not_exist_is_named_without_the_key(run, script):
    connection = f"AccountName=nosuchaccount;AccountKey={KEY};EndpointSuffix=invalid"
    result = run(script, **{NAME: connection})
    assert result.returncode == 1
    assert "nosuchaccount.queue.invalid" in result.err
    assert KEY not in result.err


def test_signature_is_not_printed_when_nothing_listens(run):
    connection = f"QueueEndpoint=http://127.0.0.1:9/x;SharedAccessSignature=sv=1&sig={KEY}"
    result = run("pipe_producer.py", **{NAME: connection})
    assert result.err.startswith("Storage error: ")
    assert "Failed to establish a new connection" in result.err
    assert KEY not in result.err


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_env_file_beside_the_script_counts_from_any_folder(run, storage, folder, encoding):
    (folder / ".env").write_text(f'{NAME}="{storage.connection}"\n', encoding=encoding)
    assert run("pipe_producer.py", folder=folder, **{NAME: None}).returncode == 0
    assert queues(storage) == ["queue-validate"]


def test_shell_wins_over_the_env_file(run, storage, folder):
    (folder / ".env").write_text(f"{NAME}=nonsense\n")
    assert run("pipe_producer.py", folder=folder).returncode == 0
    assert queues(storage) == ["queue-validate"]


def test_env_file_in_utf_16_is_one_line(run, storage, folder):
    """As Windows PowerShell writes it with ">"."""
    (folder / ".env").write_text(f'{NAME}="{storage.connection}"\n', encoding="utf-16")
    assert run("filter_validate.py", folder=folder, **{NAME: None}).err == LINE


@pytest.mark.parametrize("own, code", [(None, 0), ("corp", 1)])
def test_no_proxy_of_env_example_counts_unless_the_shell_has_its_own(run, folder, own, code):
    example = (PROJECT / ".env.example").read_text(encoding="ascii")
    (folder / ".env").write_text(re.search("^NO_PROXY=.*\n", example, re.M).group())
    changes = dict.fromkeys(["HTTP_PROXY", "http_proxy"], "http://127.0.0.1:9")
    result = run("pipe_producer.py", folder=folder, NO_PROXY=None, no_proxy=own, **changes)
    assert result.returncode == code


def test_env_example_is_for_the_emulator_of_tests_azurite_py():
    text = (PROJECT / ".env.example").read_text(encoding="ascii")
    assert f'\n{NAME}="{emulator.connection_string(10001)}"\n' in text
    assert f'\n# {NAME}="' in text


@pytest.mark.parametrize("language", ["README.md", "README.ja.md"])
def test_readmes_sas_is_enough_for_both_patterns(start, run, storage, azurite, language):
    text = (PROJECT / language).read_text(encoding="utf-8")
    types, permissions = re.search(r"--resource-types (\w+) --permissions (\w+)", text).groups()
    signature = generate_account_sas(
        storage.service.account_name,
        storage.key,
        ResourceTypes.from_string(types),
        AccountSasPermissions.from_string(permissions),
        datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1),
    )
    endpoint = f"QueueEndpoint=http://127.0.0.1:{azurite}/{storage.service.account_name};"
    sas = {NAME: f"{endpoint}SharedAccessSignature={signature}"}
    terminals = {script: start(script, **sas) for script in POLLERS}
    assert run("pipe_producer.py", **sas).returncode == 0
    terminals["final_consumer.py"].expect_exact("ORD-123")
    assert run("requestor.py", **sas).returncode == 0
    assert not [name for name in queues(storage) if name.startswith("reply-")]
