"""The demo, terminal 0, the test command and their first run."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pexpect
import psutil
import pytest
from conftest import NAME, PROJECT, TIMEOUT
from pexpect.popen_spawn import PopenSpawn

DEMO = str(PROJECT / "tests" / "demo.py")
AZURITE = str(PROJECT / "tests" / "azurite.py")
posix = pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal, or its Ctrl+C")


def run_python(*arguments, python=sys.executable, **changes):
    """Run a command line of Python; return its CompletedProcess, with stderr in stdout."""
    return subprocess.run(
        [python, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env=dict(os.environ, **changes),
        timeout=120,
        check=False,
    )


def test_demo_sends_everything_and_loses_nothing():
    result = run_python(DEMO)
    assert result.returncode == 0, result.stdout
    lines = result.stdout.split("\n\nWhat next")[0].splitlines()[-7:]
    summary = dict(line.split(maxsplit=1) for line in lines)
    assert float(summary.pop("seconds")) < 15
    assert summary == {
        "sent": "121",
        "arrived": "110",
        "rejected": "6",
        "poisoned": "5",
        "lost": "0",
        "request": "answered",
    }
    table = "\n".join(lines[:-1])
    for readme in ("README.md", "README.ja.md"):
        assert table in (PROJECT / readme).read_text(encoding="utf-8")
    assert "\033" not in result.stdout
    assert "python tests/azurite.py" in result.stdout
    for label in ("pipe_producer", "filter_validate", "filter_enrich", "final_consumer"):
        assert f"\n{label:<15} | " in result.stdout
    assert "\nrequestor       | [Requestor] Reply received: HELLO WORLD\n" in result.stdout


@posix
@pytest.mark.parametrize("variables, colored", [({}, True), ({"NO_COLOR": "1"}, False)])
def test_demo_in_a_terminal_is_coloured_and_ctrl_c_stops_all_of_it(variables, colored):
    environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    terminal = pexpect.spawn(
        sys.executable, [DEMO], env={**environment, **variables}, timeout=TIMEOUT, encoding="utf-8"
    )
    terminal.expect_exact("-> Sent to")
    assert ("\033[33mfilter_validate" in terminal.before) == colored
    children = psutil.Process(terminal.pid).children(recursive=True)
    assert len(children) >= 6  # five scripts and Azurite
    terminal.sendintr()
    terminal.expect_exact("Stopped.")
    terminal.expect(pexpect.EOF)
    assert "Traceback" not in terminal.before
    assert psutil.wait_procs(children, timeout=TIMEOUT)[1] == []
    terminal.close()
    assert terminal.exitstatus == 1


def test_benchmark_measures_everything_and_loses_nothing(tmp_path):
    file = tmp_path / "figures.json"
    sizes = ["--orders", 16, "--rounds", 1, "--requests", 2, "--seconds", 0.5]
    result = run_python(PROJECT / "tests" / "benchmark.py", *sizes, "--json", file)
    assert result.returncode == 0, result.stdout
    rows = [line for line in result.stdout.splitlines() if line.startswith("| ")]
    figures = json.loads(file.read_text(encoding="utf-8"))
    assert len(rows) == 1 + len(figures["table"]) == 28
    assert all(len(row) == 6 for row in figures["table"])
    assert min(map(min, figures["values"].values())) > 0


def start_azurite(folder, port="0"):
    """Start terminal 0 on this port with its data in folder; return it and its port once ready."""
    terminal = PopenSpawn(
        [sys.executable, AZURITE, port, str(folder)], timeout=60, encoding="utf-8"
    )
    terminal.expect(r"Azurite listens on http://127\.0\.0\.1:(\d+)\. Leave this terminal open")
    return terminal, terminal.match.group(1)


@posix
def test_terminal_0_keeps_its_data_and_ends_with_ctrl_c(tmp_path, run):
    connection = (PROJECT / ".env.example").read_text().split('"')[1]
    for _ in range(2):
        terminal, port = start_azurite(tmp_path)
        result = run("pipe_producer.py", **{NAME: connection.replace(":10001", f":{port}")})
        assert result.returncode == 0
        terminal.kill(signal.SIGINT)
        terminal.expect_exact("Azurite stopped.")
        terminal.expect(pexpect.EOF)
        assert terminal.proc.wait(timeout=TIMEOUT) == 0
    assert "created" not in result.out  # the queue was still there


@posix
@pytest.mark.parametrize("number", ["SIGHUP", "SIGTERM"])
def test_closing_terminal_0_stops_azurite(tmp_path, number):
    terminal, _ = start_azurite(tmp_path)
    children = psutil.Process(terminal.pid).children()
    terminal.kill(getattr(signal, number))
    terminal.expect(pexpect.EOF)
    assert len(children) == 1
    assert psutil.wait_procs(children, timeout=TIMEOUT)[1] == []


@posix
def test_port_in_use_is_said(tmp_path):
    terminal, port = start_azurite(tmp_path / "first")
    result = run_python(AZURITE, port, tmp_path / "second")
    assert result.returncode == 1
    assert f"Port {port} is in use." in result.stdout
    assert "Traceback" not in result.stdout
    terminal.kill(signal.SIGINT)
    terminal.expect(pexpect.EOF)


@posix
def test_azurite_that_ends_by_itself_is_said(tmp_path):
    terminal, _ = start_azurite(tmp_path)
    (child,) = psutil.Process(terminal.pid).children()
    child.kill()
    terminal.expect_exact("Azurite ended by itself")
    terminal.expect(pexpect.EOF)
    assert terminal.proc.wait(timeout=TIMEOUT) == 1


def test_run_passes_its_arguments_and_exit_code_on():
    run = PROJECT / "tests" / "run.py"
    assert run_python(run, "-n", "0", "-k", "test_shape").returncode == 0
    assert run_python(run, "-n", "0", "-k", "no_such_test").returncode == 5


@pytest.fixture
def clone(tmp_path):
    """A copy of the project without a virtual environment."""
    shutil.copy(PROJECT / "requirements.txt", tmp_path)
    shutil.copytree(str(PROJECT / "tests"), str(tmp_path / "tests"))
    return tmp_path


def base_python():
    """Return the Python that this virtual environment was made with."""
    name = "python.exe" if os.name == "nt" else "bin/python3.%d" % sys.version_info[1]
    return str(Path(sys.base_prefix, name))


def test_first_run_without_a_network_says_so(clone):
    changes = {"PIP_INDEX_URL": "http://127.0.0.1:9", "PIP_RETRIES": "0"}
    for _ in range(2):  # the second run finds a virtual environment that is not complete
        result = run_python(clone / "tests" / "demo.py", python=base_python(), **changes)
        assert result.returncode == 1
        assert result.stdout.startswith(f"First run: setting up {clone / 'venv'} (")
        assert result.stdout.splitlines()[-1].startswith(
            "Python packages and Node.js failed. Is there a"
        )
        assert "Traceback" not in result.stdout


def test_first_run_that_cannot_make_a_virtual_environment_says_so(clone):
    (clone / "venv").write_text("a file where the folder should be")
    result = run_python(clone / "tests" / "run.py", python=base_python())
    assert result.returncode == 1
    assert result.stdout.splitlines()[-1].startswith("Virtual environment failed. On Debian")
    assert "Traceback" not in result.stdout
