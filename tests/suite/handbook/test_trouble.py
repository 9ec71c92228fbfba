"""Rows of the pages' table of troubles, provoked: what is said are the words of the table."""

import base64

import pytest
from azure.storage.queue import generate_account_sas

from suite.helpers.proxy import Recorder
from support.topology import SETTING

KEY = base64.b64encode(b"\x80" * 64).decode()  # as long as a real one
PROXY = dict.fromkeys(["http_proxy", "HTTP_PROXY"], "http://127.0.0.1:9")
SETTINGS = {  # words: a connection string
    "Failed to resolve": f"AccountName=x;AccountKey={KEY};EndpointSuffix=invalid",
    "Failed to establish a new connection": f"QueueEndpoint=http://127.0.0.1:9;{{}}sig={KEY}",
    "is not set, or wrong": "prose",
}
KEYS = {  # words: what stands for the key
    "Server failed to authenticate": KEY,
    "Incorrect padding": "<ACCOUNT_KEY>",
    "Invalid base64-encoded string": "QUFBA",
}


@pytest.fixture
def said(run, pages):
    """Return said(words, script, *arguments, **options): run it; it must end with a line of them."""

    def said(words, script, *arguments, **options):
        result = run(script, *arguments, **options)
        assert result.returncode == 1
        assert result.err.count("\n") == 1
        assert words in result.err
        assert KEY not in result.err
        for page in pages.values():
            rows = [line.split(" | ")[0] for line in page.text.splitlines()]
            assert any(row.startswith("| ") and words in row for row in rows), words

    return said


@pytest.mark.parametrize("words", SETTINGS)
def test_wrong_address(said, words):
    said(words, "requestor.py", **{SETTING: SETTINGS[words].format("SharedAccessSignature=")})


@pytest.mark.parametrize("words", KEYS)
def test_wrong_key(said, storage, words):
    setting = storage.connection.replace(storage.key, KEYS[words])
    said(words, "pipe_producer.py", **{SETTING: setting})


def test_sas_without_the_rights(said, storage, azurite):
    name = storage.service.account_name
    signature = generate_account_sas(name, storage.key, "sco", "r", "2100-01-01T00:00Z")
    setting = f"QueueEndpoint=http://127.0.0.1:{azurite}/{name};SharedAccessSignature={signature}"
    said("not authorized", "pipe_producer.py", **{SETTING: setting})


def test_company_proxy_that_cannot_be_reached(said):
    said("Unable to connect to proxy", "pipe_producer.py", **PROXY, no_proxy="", NO_PROXY="")


def test_line_that_was_not_sent(said, behind):
    cut = Recorder("send", lambda forward: None, times=2)
    said("Stopped at line", "pipe_producer.py", **behind(cut))


def test_file_that_is_not_utf_8(said, tmp_path):
    (tmp_path / "orders.jsonl").write_bytes("\u6ce8\u6587".encode("cp932"))
    said("'utf-8' codec can't decode", "pipe_producer.py", tmp_path / "orders.jsonl")
