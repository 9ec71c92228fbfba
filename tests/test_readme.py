"""Follow README.md in real terminals: type its commands, compare its transcripts, run its snippets.

What a block is, its language says: `sh` is typed in the current terminal (`bash` on Linux and macOS
only; `bat`, `powershell` and `azurecli` are for other machines), `text` is what the terminal then
shows, `json` a line typed into the running script, `diff` an edit of the script named before it,
`python` a file to save if its first line is its name, else an excerpt of a script. A terminal's name
in bold makes it the current one, and "Press Ctrl+C in terminal 1" is done and does so, too.
"""

import datetime
import re
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from urllib.parse import unquote

import pexpect
import pytest
from benchmark import edited
from conftest import NAME, PROJECT, SCRIPTS, TIMEOUT, depth, send, via, wait_until
from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin
from proxy import proxy

LANGUAGES = ["README.md"] + ["README.ja.md"] * (PROJECT / "README.ja.md").exists()
TERMINAL = re.compile(r"\*\*(?:Terminal|terminal|ターミナル) ?(\d)\*\*")
CTRL_C = re.compile(
    r"Press Ctrl\+C in terminals? ([\d, and]+)|ターミナル ?([\d、と ]+) ?で Ctrl\+C を押し"
)
FILE = re.compile(r"# (\w+\.py)\n")
PROMPT = "tutorial$ "
VISIBLE_AGAIN = 30  # seconds, the visibility timeout
WILDCARDS = [  # what differs from run to run in a transcript, a character for it, and its pattern
    (r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "\ue000", "[0-9a-f-]{36}"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", "\ue001", r"[\d-]+T[\d:.]+\+00:00"),
    ("\u2026", "\ue002", r"[^\r\n]*"),
]


def parse(name):
    """Return the tokens of a README."""
    markdown = MarkdownIt("commonmark").enable("table").use(anchors_plugin, max_level=4)
    return markdown.parse((PROJECT / name).read_text(encoding="utf-8"))


def steps(name):
    """Return what a reader of this README does: a list of (what, text, words before it)."""
    found, before = [], ""
    for token in parse(name):
        if token.type == "inline":
            before = token.content
            matches = [("terminal", match) for match in TERMINAL.finditer(before)]
            matches += [("ctrl-c", match) for match in CTRL_C.finditer(before)]
            for what, match in sorted(matches, key=lambda pair: pair[1].start()):
                found += [(what, number, "") for number in re.findall(r"\d", match.group())]
        elif token.type == "fence":
            found.append((token.info, token.content, before))
    return found


def scripts_in(words):
    """Return the names of the scripts that these words name."""
    return [script for script in SCRIPTS if f"`{script}`" in words]


class Reader:
    """One who does what the steps say, in a copy of the project."""

    def __init__(self, folder, port):
        self.folder, self.port = folder, str(port)
        self.new_terminal = "true"  # what to type first in each new terminal
        self.current = self.open()
        self.terminals = {"set-up": self.current}

    def do(self, what, text, before):
        """Do one step; fail if a terminal does not show what it should."""
        text = text.replace("10001", self.port)
        if what == "terminal":
            if text not in self.terminals:
                self.terminals[text] = self.open()
            self.current = self.terminals[text]
        elif what == "ctrl-c":
            self.current = self.terminals[text]
            self.interrupt(self.current)
        elif what in ("sh", "bash"):
            for line in text.splitlines():
                self.see(re.escape(PROMPT))
                self.current.sendline(line)
        elif what == "bash new terminal":
            self.new_terminal = text.strip()
        elif what == "json":
            self.current.sendline(text.strip())
        elif what == "text":
            self.see(pattern(text))
        elif what == "diff":
            (script,) = scripts_in(before)
            path = self.folder / script
            path.write_text(edited(path.read_text(encoding="utf-8"), text), encoding="utf-8")
        elif what == "python" and FILE.match(text):
            (self.folder / FILE.match(text).group(1)).write_text(text, encoding="utf-8")

    def open(self):
        """Open a terminal in the folder."""
        terminal = pexpect.spawn(
            "bash",
            ["--norc", "--noprofile"],
            cwd=str(self.folder),
            env={
                "PATH": PATH,
                "HOME": str(self.folder),
                "PS1": PROMPT,
                "TERM": "dumb",
                "PYTHONWARNINGS": "ignore",
                "LANG": "C.UTF-8",
            },
            timeout=TIMEOUT,
            encoding="utf-8",
            maxread=65536,
            dimensions=(50, 1000),
        )
        terminal.expect_exact(PROMPT)
        terminal.sendline(self.new_terminal)
        return terminal

    def see(self, expression):
        """Wait until the current terminal shows what matches, while the others show what they have."""
        deadline = time.monotonic() + VISIBLE_AGAIN + TIMEOUT
        while self.current.expect([expression, pexpect.TIMEOUT], timeout=0.2):
            if time.monotonic() > deadline:
                raise pexpect.TIMEOUT("")
            for terminal in self.terminals.values():
                terminal.expect([pexpect.TIMEOUT], timeout=0)

    def interrupt(self, terminal):
        """Press Ctrl+C, and again if nothing happens, as Python can drop one (see conftest)."""
        terminal.sendintr()
        if terminal.expect_exact([PROMPT, pexpect.TIMEOUT], timeout=10):
            terminal.sendintr()
        else:
            terminal.buffer = terminal.before + terminal.after + terminal.buffer

    def leave(self):
        """Close all terminals."""
        for terminal in self.terminals.values():
            terminal.close(force=True)


PATH = str(Path(sys.executable).parent) + ":/usr/local/bin:/usr/bin:/bin"


def pattern(transcript):
    """Return the regular expression of a transcript: "..." is any lines, "\u2026" any text."""
    expression = ""
    for line in transcript.splitlines():
        if line == "...":
            expression += r"([^\n]*\n)*?"
            continue
        for what, character, _ in WILDCARDS:
            line = re.sub(what, character, line)
        line = re.escape(line)
        for _, character, by in WILDCARDS:
            line = line.replace(character, by)
        expression += line + r"\r*\n"
    return r"(?:(?<![^\r\n])|(?<=\^C))" + expression


@pytest.fixture
def reader(tmp_path):
    """A reader with a fresh copy of the project, whose emulator has a free port.

    The venv is there, as after the demo, and takes its packages from this one: pip has nothing to load.
    """
    folder = tmp_path / "queue-patterns"
    shutil.copytree(str(PROJECT / "tests"), str(folder / "tests"))
    for name in [*SCRIPTS, "requirements.txt", ".env.example"]:
        shutil.copy(PROJECT / name, folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for path in (folder / "tests" / "azurite.py", folder / ".env.example"):
        text = path.read_text(encoding="utf-8")
        assert text.count("10001") == 1
        path.write_text(text.replace("10001", str(port)), encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True
    )
    (packages,) = (folder / "venv").glob("lib/python*/site-packages")
    (packages / "tests.pth").write_text(str(Path(pytest.__file__).parent.parent))
    (folder / "venv" / "azurite").mkdir()
    modules = folder / "venv" / "azurite" / "node_modules"
    modules.symlink_to(Path(sys.prefix, "azurite", "node_modules"))
    shutil.copy(Path(sys.prefix, "queue-patterns-setup"), folder / "venv")
    reader = Reader(folder, port)
    yield reader
    reader.leave()


@pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals")
@pytest.mark.timeout(400)
def test_every_command_transcript_and_snippet(reader):
    for step in steps("README.md"):
        try:
            reader.do(*step)
        except pexpect.ExceptionPexpect as error:
            pytest.fail(
                f"{step}\n{type(error).__name__}, the terminal shows:\n{reader.current.before}"
            )


def snippet(name):
    """Return the text of the README's snippet with this file name in its first line."""
    (text,) = [text for what, text, _ in steps("README.md") if text.startswith(f"# {name}\n")]
    return text


def test_resend_does_not_run_after_what_comes_back(storage, azurite, run, tmp_path):
    text, count = re.subn(r"return base64.*", "return text", snippet("resend.py"))
    assert count == 1
    (tmp_path / "resend.py").write_text(text)
    send(storage, "queue-validate-poison", *["bad"] * 3)
    storage.service.create_queue("queue-validate")
    moved = []

    def intercept(method, path, forward):
        if method == "POST" and "/queue-validate/messages" in path and len(moved) < 50:
            moved.append(path)  # as a filter does that still takes it for bad
            send(storage, "queue-validate-poison", "bad")
        return forward()

    with proxy(azurite, intercept) as port:
        result = run("resend.py", folder=tmp_path, **{NAME: via(port, storage)})
    assert result.out.splitlines() == ["Sent back: bad"] * 3


def test_resend_and_peek_do_not_see_what_resend_left(storage, run, tmp_path):
    for name in ("resend.py", "peek.py"):
        (tmp_path / name).write_text(snippet(name))
    send(storage, "queue-validate-poison", "hello")
    results = [
        run(name, *arguments, folder=tmp_path)
        for name, *arguments in [
            ("peek.py", "queue-validate-poison"),
            ("resend.py",),
            ("resend.py",),
            ("peek.py", "queue-validate-poison"),
        ]
    ]
    assert [result.out[-6:] for result in results] == ["hello\n", "hello\n", "", ""]
    assert depth(storage, "queue-validate-poison") == 1


def test_watch_shows_the_oldest_message_even_if_it_is_not_the_next(storage, run, tmp_path):
    (tmp_path / "watch.py").write_text(snippet("watch.py"))
    send(storage, "queue-enrich", "old")
    queue = storage.service.get_queue_client("queue-enrich")
    for _ in range(2):
        wait_until(lambda: list(queue.receive_messages(visibility_timeout=2)))
    send(storage, "queue-enrich", "new")
    wait_until(lambda: len(queue.peek_messages(2)) == 2)
    oldest = min(msg.inserted_on for msg in queue.peek_messages(2))
    age = (datetime.datetime.now(datetime.timezone.utc) - oldest).total_seconds()
    shown = run("watch.py", folder=tmp_path).out
    assert int(re.fullmatch(r"queue-enrich +2 messages, oldest (\d+) s\n", shown)[1]) > age - 1


def blocks(name):
    """Return the steps without what is in the reader's language."""
    return [(what, "" if what == "mermaid" else text) for what, text, _ in steps(name)]


def test_both_languages_have_the_same_steps():
    assert LANGUAGES == ["README.md", "README.ja.md"]
    assert blocks("README.md") == blocks("README.ja.md")
    shapes = [
        [t.tag for t in parse(name) if t.tag in ("h1", "h2", "h3", "h4", "tr", "li")]
        for name in LANGUAGES
    ]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("name", LANGUAGES)
def test_excerpts_stand_in_their_scripts(name):
    excerpts = 0
    for what, text, before in steps(name):
        if what == "python" and not FILE.match(text):
            for script in scripts_in(before):
                source = (PROJECT / script).read_text(encoding="utf-8")
                indents = (textwrap.indent(text, " " * n) for n in range(0, 24, 4))
                assert any(indented in source for indented in indents), text
                excerpts += 1
    assert excerpts > 5


@pytest.mark.parametrize("name", LANGUAGES)
def test_links_resolve(name):
    tokens = parse(name)
    ids = {token.attrGet("id") for token in tokens if token.type == "heading_open"}
    links = [
        child.attrGet("href") or child.attrGet("src")
        for token in tokens
        for child in token.children or []
        if child.type in ("link_open", "image")
    ]
    assert links
    for link in links:
        if link.startswith("#"):
            assert unquote(link[1:]) in ids
        elif not link.startswith("https://"):
            assert (PROJECT / link).exists(), link


@pytest.mark.skipif(not shutil.which("mmdc"), reason="mermaid-cli (mmdc) is not installed")
@pytest.mark.parametrize("name", LANGUAGES)
def test_diagrams_render(name, tmp_path):
    for number, (what, text, _) in enumerate(steps(name)):
        if what == "mermaid":
            source = tmp_path / f"{number}.mmd"
            source.write_text(text, encoding="utf-8")
            subprocess.run(
                ["mmdc", "-i", str(source), "-o", f"{source}.svg"], check=True, timeout=TIMEOUT * 3
            )


@pytest.mark.parametrize("name", LANGUAGES)
def test_constants_are_those_of_the_scripts(name):
    """The reference's rows `NAME` | `value` | scripts stand so in each of those scripts."""
    rows = re.findall(
        r"^\| `([A-Z_]+)` \| `(.+?)` \| (.+?) \|",
        (PROJECT / name).read_text(encoding="utf-8"),
        re.M,
    )
    assert len(rows) > 8
    for constant, value, scripts in rows:
        for script in scripts_in(scripts) or SCRIPTS:
            assert re.search(
                rf"^(?:[A-Z_]+, )?{constant}(?:, [A-Z_]+)? = .*{re.escape(value)}",
                (PROJECT / script).read_text(encoding="utf-8"),
                re.M,
            ), (constant, script)
