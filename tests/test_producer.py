"""The producer with a file or standard input."""

import pytest
from conftest import PROJECT, queues, take

LINES = [
    '{"amount": 1}',
    "  not JSON\t",
    '{"name": "\u5c71\u7530\u3000\u592a\u90ce \u2028"}',
    "last",
]


def write(tmp_path, data):
    """Return the path of a file with this text or these bytes."""
    path = tmp_path / "orders.jsonl"
    path.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8"))
    return str(path)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("source", ["file", "standard input"])
def test_each_line_is_sent_as_it_is(run, storage, tmp_path, source, start, end):
    text = start + end.join([LINES[0], "", " \t ", *LINES[1:]]) + end
    if source == "file":
        result = run("pipe_producer.py", write(tmp_path, text))
    else:
        result = run("pipe_producer.py", "-", input=text.encode("utf-8"))
    assert result.returncode == 0
    assert take(storage, "queue-validate", len(LINES)) == LINES
    assert result.out.count("-> Sent to 'queue-validate': ") == len(LINES)
    assert "-> Sent to 'queue-validate': " + LINES[0] in result.out


def test_a_message_of_exactly_64_kib_is_sent(run, storage, tmp_path):
    text = "x" * 65536  # ASCII: Azurite refuses some shorter texts with multi-byte characters
    assert run("pipe_producer.py", write(tmp_path, text)).returncode == 0
    assert take(storage, "queue-validate") == [text]


@pytest.mark.parametrize(
    "data, reason",
    [
        ("good\n" + "x" * 65537, "line 2 has 65537 bytes, of at most 65536"),
        ("good\n\x01", "line 2 has a character that no message may have"),
        (b"good\n\x83\x65\n", "utf-8' codec"),
        ("good".encode("utf-16"), "utf-8' codec"),
    ],
)
def test_file_that_cannot_be_sent_whole_is_not_sent(run, storage, tmp_path, data, reason):
    result = run("pipe_producer.py", write(tmp_path, data))
    assert result.returncode == 1
    assert result.out == ""
    assert len(result.err.splitlines()) == 1
    assert reason in result.err
    assert queues(storage) == []


@pytest.mark.parametrize("path", ["missing.jsonl", "."])
def test_file_that_cannot_be_read(run, storage, path):
    result = run("pipe_producer.py", path)
    assert result.returncode == 1
    assert result.err.startswith("Producer stopped: [Errno ")
    assert f"'{path}'" in result.err
    assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize("arguments, reason", [(["a", "b"], "One FILE"), ([""], "No such file")])
def test_arguments_that_are_not_one_file(run, storage, arguments, reason):
    result = run("pipe_producer.py", *arguments)
    assert result.returncode == 1
    assert len(result.err.splitlines()) == 1
    assert reason in result.err
    assert queues(storage) == []


def test_standard_input_sends_line_by_line_up_to_a_bad_one(run, storage):
    result = run("pipe_producer.py", "-", input=b"good\n" + b"x" * 65537 + b"\nnever\n")
    assert result.returncode == 1
    assert "line 2" in result.err
    assert result.out.splitlines()[-1] == "-> Sent to 'queue-validate': good"
    assert take(storage, "queue-validate") == ["good"]


def test_the_demos_file(run, storage):
    path = PROJECT / "tests" / "data" / "orders.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    assert run("pipe_producer.py", str(path)).returncode == 0
    assert take(storage, "queue-validate", len(lines)) == lines
