"""Follow README.md in terminals: each section, and each exercise, from a fresh state.

What is to do with a block, its info string says; t0, t1 ... are terminals, t0 that of the emulator.
"""

import collections
import ctypes
import os
import re
import subprocess
import sys
import time
import venv
from functools import partial
from pathlib import Path

import pexpect
import pytest

from suite.helpers import copies
from suite.helpers.terminals import pseudo_terminal
from support import emulator
from support.queues import wait_until
from support.topology import TIMEOUT

# What differs from run to run: UUIDs (also cut ones), times, the emulator's port, what is left out.
DIFFERENT = r"[0-9a-f]{8}-[0-9a-f-]{4,}|\d{4}-\d\d-\d\dT[\d:.]+|\d\d:\d\d:\d\d|10001|\u2026"
PROMPT = "reader$ "
WINE = os.name == "nt" and hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")
LONGEST = 30 + TIMEOUT  # seconds to wait for a line: a visibility timeout, and some more


@pytest.fixture
def folder(clone):
    """A copy of the project, set up; its emulator has a free port, and its data in the copy."""
    port = "10001", str(emulator.free_port())
    data = 'Path(sys.prefix, "azurite", "data")', f"Path({str(clone)!r}, 'data')"
    copies.edited("tests/azurite.py", clone, *port, *data)
    copies.edited(".env.example", clone, *port)
    (clone / ".env").write_bytes((clone / ".env.example").read_bytes())
    return clone


@pytest.fixture
def terminals(folder):
    """A dict of terminals by name, opened when they are asked for, with the venv active."""
    env = {"PS1": PROMPT, "TERM": "dumb", "LANG": "C.UTF-8", "HOME": str(folder)}
    env["PATH"] = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    env["PYTHONWARNINGS"] = "ignore"  # the SDK's packages warn on Python 3.8
    env["http_proxy"] = "http://127.0.0.1:9"  # a company's, which does not reach the emulator
    bash = ["bash", "--norc", "--noprofile"]
    options = {"cwd": str(folder), "dimensions": (50, 1000), "echo": False}
    terminals = collections.defaultdict(partial(pseudo_terminal, bash, env, **options))
    yield terminals
    for name, terminal in terminals.items():
        print(f"---- {name}\n{terminal.log.getvalue()}")  # pytest shows it if the test fails
        terminal.close(force=True)


def read(terminals):
    """Read what each terminal shows, for a full one stops its script; return all that was shown."""
    for terminal in terminals.values():
        terminal.expect([pexpect.TIMEOUT], timeout=0.01)
    return "".join(terminal.log.getvalue() for terminal in terminals.values())


def expect(terminals, block, expression):
    """Wait until the block's terminal shows next what matches."""
    terminal, deadline = terminals[block.info.split()[1]], time.monotonic() + LONGEST
    while terminal.expect([r"\A" + expression, pexpect.TIMEOUT], timeout=0.1):
        read(terminals)
        assert time.monotonic() < deadline, f"Line {block.map[0] + 1}: {block.content}"


def pattern(transcript):
    """Return the regular expression of a transcript: "..." is any lines, "\u2026" any text."""
    expression = ""
    for line in transcript.splitlines():
        same = map(re.escape, re.split(DIFFERENT, line))
        expression += r"([^\n]*\n)*?" if line == "..." else r"[^\r\n]*".join(same) + r"[ \r]*\n"
    return expression


def do(block, folder, terminals):
    """Do what a block says."""
    what, name = block.info.split()
    if what == "diff":
        wait_until((folder / name).is_file, what=f"{name} has been copied")
        copies.edited(name, folder, *copies.hunks(block.content))
    elif what == "python":
        (folder / name).write_text(block.content, encoding="utf-8")
    elif what == "text":
        before, *after = re.split(r"^\^C\n", block.content, flags=re.M)
        expect(terminals, block, pattern(before))
        for text in after:
            terminals[name].sendintr()
            expect(terminals, block, pattern("...\n" + text))
    else:
        for line in block.content.splitlines():
            if what == "sh":
                expect(terminals, block, ".*?" + re.escape(PROMPT))
            terminals[name].sendline(line)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals")
def test_section_works_as_printed(section, pages, folder, terminals):
    todo = pages["README.md"].sections[section]
    if not re.search(r"tests/(azurite|demo)\.py", todo[0].content):  # they start one themselves
        terminals["t0"].sendline("python tests/azurite.py")
        terminals["t0"].expect("It keeps its data in [^\n]*\n", timeout=TIMEOUT)
    for block in todo:
        do(block, folder, terminals)
    shown = read(terminals)
    assert "Traceback" not in shown or any("Traceback" in block.content for block in todo), shown


@pytest.mark.skipif(WINE, reason="Wine's cmd cannot read a Japanese folder in activate.bat")
def test_set_up_as_it_stands_on_the_page(pages, clone):
    """In a folder where the demo has made the virtual environment."""
    kind = "bat" if os.name == "nt" else "sh once"
    blocks = [block for block in pages["README.md"].blocks if block.info == kind]
    (block,) = [block for block in blocks if ".env.example" in block.content]
    venv.create(str(clone / "venv"), symlinks=os.name != "nt")
    lines = [*block.content.splitlines(), 'python -c "import sys; print(sys.prefix)"']
    command = (" & " if os.name == "nt" else "\n").join(lines)
    if os.name != "nt":
        command = ["bash", "-ec", command]
    shown = subprocess.check_output(
        command, shell=os.name == "nt", cwd=str(clone), encoding="utf-8", errors="replace"
    )
    assert Path(shown.splitlines()[-1]) == clone / "venv"
    assert (clone / ".env").read_bytes() == (clone / ".env.example").read_bytes()
