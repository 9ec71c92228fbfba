"""AZURE_STORAGE_CONNECTION_STRING: from .env or the environment, and every way to get it wrong."""

import base64
import datetime
import re
import shutil

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.queue import (
    AccountSasPermissions,
    QueueServiceClient,
    ResourceTypes,
    generate_account_sas,
)
from conftest import NAME, ONE_SHOTS, POLLERS, PROJECT, SCRIPTS, queues

KEY = base64.b64encode(b"\x80" * 64).decode()  # as long as a real one
WRONG = {
    "unset": None,
    "blank": "",
    "white space": "  ",
    "the handout's placeholder": "<YOUR_CONNECTION_STRING>",
    "a placeholder inside": "DefaultEndpointsProtocol=https;AccountName=<NAME>;AccountKey=QUFB",
    "prose": "please fill me in",
    "no account": "DefaultEndpointsProtocol=https;AccountKey=QUFB",
    "no key": "DefaultEndpointsProtocol=https;AccountName=x",
    "quotes inside": '"AccountName=x";"AccountKey=QUFB"',
    "curly quotes": "\u201cAccountName=x;AccountKey=QUFB\u201d",
    "full-width letters": "AccountName=\uff44evstoreaccount1;AccountKey=QUFB",
    "name and key changed over": f"AccountName={KEY};AccountKey=name",
    "key as suffix": f"AccountName=x;AccountKey=QUFB;EndpointSuffix={KEY[:86]}",
    "key as endpoint": f"QueueEndpoint=http://{KEY};AccountName=x;AccountKey=QUFB",
    "key as path of an endpoint without a host": f"QueueEndpoint=/{KEY};AccountName=x;AccountKey=QUFB",
    "signature as endpoint": f"QueueEndpoint=?sv=2024-11-04&sig={KEY};AccountName=x;AccountKey=QUFB",
    "no endpoint's host": "QueueEndpoint=http:///x;AccountName=x;AccountKey=QUFB",
}


@pytest.fixture
def folder(tmp_path):
    """An otherwise empty folder with a copy of each script, in which no .env of the user's counts."""
    for script in SCRIPTS:
        shutil.copy(PROJECT / script, tmp_path)
    (tmp_path / ".env").write_text("")
    return tmp_path


def assert_one_line(result, text):
    """Assert that the script gave up with exit code 1 and one line on stderr, with this text."""
    assert result.returncode == 1
    assert result.out == ""
    assert len(result.err.splitlines()) == 1
    assert text in result.err


@pytest.mark.parametrize(
    "script, kind",
    [
        *[("filter_validate.py", kind) for kind in WRONG],  # the others have the same lines
        *[(script, kind) for script in SCRIPTS for kind in ("unset", "the handout's placeholder")],
    ],
)
def test_wrong_setting_gives_one_line_and_exit_code_1(run, folder, script, kind):
    result = run(script, folder=folder, **{NAME: WRONG[kind]})
    assert_one_line(result, NAME)
    assert ".env.example" in result.err
    assert KEY[:86] not in result.err


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("key", ["notbase64!!"])
def test_key_that_is_not_base64_gives_one_line(run, storage, script, key):
    connection = storage.connection.replace(storage.key, key)
    assert_one_line(run(script, **{NAME: connection}), "Is the key in .env right?")


@pytest.mark.parametrize("script", SCRIPTS)
def test_dot_too_many_in_the_host_name_gives_one_line(start, script):
    terminal = start(script, **{NAME: f"AccountName=x;AccountKey={KEY};EndpointSuffix=.y"})
    terminal.expect_exact("x.queue..y cannot be reached.")
    assert KEY not in terminal.log.text


@pytest.mark.parametrize("script", SCRIPTS)
def test_env_file_in_utf_16_gives_one_line(run, storage, folder, script):
    (folder / ".env").write_text(f'{NAME}="{storage.connection}"\n', encoding="utf-16")
    assert_one_line(run(script, folder=folder, **{NAME: None}), "utf-8' codec")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("script", ONE_SHOTS)
def test_script_alone_in_a_folder_beside_an_env_file(
    start, run, storage, folder, script, encoding, tmp_path_factory
):
    alone = tmp_path_factory.mktemp("alone")
    shutil.copy(PROJECT / script, alone)
    (alone / ".env").write_text(f'{NAME}="{storage.connection}"\n', encoding=encoding)
    start("replier.py")
    assert run(script, folder=alone, **{NAME: None}).returncode == 0
    assert queues(storage)


@pytest.mark.parametrize("script", [script for script in SCRIPTS if script not in ONE_SHOTS])
def test_poller_alone_in_a_folder_beside_an_env_file(start, variables, storage, tmp_path, script):
    shutil.copy(PROJECT / script, tmp_path)
    (tmp_path / ".env").write_text(f'{NAME}="{storage.connection}"\n')
    del variables[NAME]
    start(script, folder=tmp_path).expect_exact("Waiting for")
    assert queues(storage)


def test_environment_wins_over_the_env_file(run, storage, folder):
    (folder / ".env").write_text(f"{NAME}=nonsense\n")
    assert run("pipe_producer.py", folder=folder).returncode == 0
    assert queues(storage) == ["queue-validate"]


@pytest.mark.parametrize("own, code", [(None, 0), ("corp", 1), ("corp,127.0.0.1", 0)])
def test_no_proxy_of_env_example_counts_unless_the_environment_has_its_own(run, folder, own, code):
    example = (PROJECT / ".env.example").read_text(encoding="ascii")
    (folder / ".env").write_text(re.search("^NO_PROXY=.*\n", example, re.MULTILINE).group())
    changes = {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    changes.update(NO_PROXY=None, no_proxy=own)
    assert run("pipe_producer.py", folder=folder, **changes).returncode == code


def test_env_example_is_ascii_and_ready_to_use(run, folder):
    text = (PROJECT / ".env.example").read_text(encoding="ascii")
    (folder / ".env").write_text(text)
    # Nothing listens on this port: whoever gets so far has taken the setting.
    (folder / ".env").write_text(text.replace(":10001", ":9"))
    assert_one_line(run("pipe_producer.py", folder=folder, **{NAME: None}), "127.0.0.1:9")
    assert f'# {NAME}="' in text


@pytest.mark.parametrize("language", ["README.md", "README.ja.md"])
def test_the_readmes_sas_is_enough(start, run, storage, azurite, language):
    """A signature with the rights that the README's command asks for, and the wider one for watch.py."""
    text = (PROJECT / language).read_text(encoding="utf-8")
    name, settings = storage.service.account_name, []
    for types, permissions in re.findall(r"--resource-types (\w+) --permissions (\w+)", text):
        signature = generate_account_sas(
            name,
            storage.key,
            ResourceTypes.from_string(types),
            AccountSasPermissions.from_string(permissions),
            datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1),
        )
        endpoint = f"QueueEndpoint=http://127.0.0.1:{azurite}/{name};"
        settings.append(f"{endpoint}SharedAccessSignature={signature}")
    for_scripts, for_watch = settings
    sas = {NAME: for_scripts}
    terminals = [start(script, **sas) for script in POLLERS]
    assert run("pipe_producer.py", **sas).returncode == 0
    terminals[POLLERS.index("final_consumer.py")].expect_exact("ORD-123")
    assert run("requestor.py", **sas).returncode == 0
    assert [queue for queue in queues(storage) if queue.startswith("reply")] == []
    with pytest.raises(HttpResponseError, match="not authorized"):
        list(QueueServiceClient.from_connection_string(for_scripts).list_queues())
    assert list(QueueServiceClient.from_connection_string(for_watch).list_queues())
