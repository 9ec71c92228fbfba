"""Follow README.md in terminals, each section from a fresh state; the rest must agree with it.

What is to do with a block, its info string says; t0, t1 ... are terminals, t0 that of the emulator.
"""

import collections
import io
import json
import re
import sys
import textwrap
import time
from functools import partial
from pathlib import Path
from urllib.parse import unquote

import pexpect
import pytest
from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin

from suite.helpers import copies
from support import emulator
from support.topology import PROJECT, SCRIPTS, TIMEOUT

SCRIPT = "|".join(map(re.escape, SCRIPTS))
EXECUTED = rf"(sh|text|json) t\d|diff ({SCRIPT})|python \w+\.py"
EXCERPT = rf"python in ({SCRIPT})"
NOT_EXECUTED = "sh once|bat|azurecli|mermaid"
# What differs from run to run: UUIDs (also cut ones), times, the emulator's port, what is left out.
DIFFERENT = r"[0-9a-f]{8}-[0-9a-f-]{4,}|\d{4}-\d\d-\d\dT[\d:.]+|\d\d:\d\d:\d\d|10001|\u2026"
PROMPT = "reader$ "
LONGEST = 30 + TIMEOUT  # seconds to wait for a line: a visibility timeout, and some more

NAMES = ["README.md", "README.ja.md"]
SAME = ["heading_open", "fence"]  # in both; a diagram's labels are translated
MARKDOWN = MarkdownIt("commonmark").enable("table").use(anchors_plugin, max_level=6)
TEXTS = {name: (PROJECT / name).read_text(encoding="utf-8") for name in [*NAMES, *SCRIPTS]}
TOKENS = {name: MARKDOWN.parse(TEXTS[name]) for name in NAMES}
BLOCKS = {
    name: [token for token in TOKENS[name] if token.type in ("fence", "code_block")]
    for name in NAMES
}
LINES = [line for block in BLOCKS["README.md"] for line in block.content.splitlines()]
SECTIONS = collections.defaultdict(list)  # ID of the ## or ### heading above: blocks to execute
for token in TOKENS["README.md"]:
    if token.tag in ("h2", "h3") and token.nesting == 1:
        section = SECTIONS[token.attrGet("id")]
    elif re.fullmatch(EXECUTED, token.info):
        section.append(token)


@pytest.fixture
def folder(clone):
    """A copy of the project, set up; its emulator has a free port, and its data in the copy."""
    port = "10001", str(emulator.free_port())
    data = 'Path(sys.prefix, "azurite", "data")', f'Path("{clone}", "data")'
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
    options = {"cwd": str(folder), "env": env, "encoding": "utf-8", "dimensions": (50, 1000)}
    bash = partial(pexpect.spawn, "bash --norc --noprofile", echo=False, **options)
    terminals = collections.defaultdict(lambda: bash(logfile=io.StringIO()))
    yield terminals
    for terminal in terminals.values():
        terminal.close(force=True)


def read(terminals):
    """Read what each terminal shows, for a full one stops its script; return all that was shown."""
    for terminal in terminals.values():
        terminal.expect([pexpect.TIMEOUT], timeout=0.01)
    return "".join(terminal.logfile.getvalue() for terminal in terminals.values())


def expect(terminals, block, expression):
    """Wait until the block's terminal shows next what matches, or fail with all that was shown."""
    terminal, deadline = terminals[block.info.split()[1]], time.monotonic() + LONGEST
    while terminal.expect([r"\A" + expression, pexpect.TIMEOUT], timeout=0.1):
        shown = read(terminals)
        assert time.monotonic() < deadline, f"Line {block.map[0] + 1}: {block.content}\n{shown}"


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
@pytest.mark.parametrize("section", [section for section in SECTIONS if SECTIONS[section]])
def test_section(section, folder, terminals):
    todo = SECTIONS[section]
    if "python tests/" not in todo[0].content:  # a tool that starts an emulator itself
        terminals["t0"].sendline("python tests/azurite.py")
        terminals["t0"].expect("It keeps its data in [^\n]*\n")
    for block in todo:
        do(block, folder, terminals)
    shown = read(terminals)
    assert "Traceback" not in shown or any("Traceback" in block.content for block in todo), shown


@pytest.mark.parametrize("name", NAMES)
def test_blocks_are_of_a_known_kind_and_name_what_is_there(name):
    tags = "".join(token.content for token in TOKENS[name] if token.type == "html_block")
    assert "```" not in tags  # without an empty line above, GitHub shows no block
    for block in BLOCKS[name]:
        assert re.fullmatch(f"{EXECUTED}|{EXCERPT}|{NOT_EXECUTED}", block.info), block
        if re.fullmatch(EXCERPT, block.info):
            source = "\n" + TEXTS[block.info.split()[2]]
            indented = [textwrap.indent(block.content, " " * n) for n in range(0, 24, 4)]
            assert any("\n" + text in source for text in indented), block
        elif block.info.startswith("python "):
            assert block.content.startswith(f"# {block.info.split()[1]}\n"), block
        elif re.fullmatch(NOT_EXECUTED, block.info):
            for file in re.findall(r"\S+\.(?:example|py|txt)\b", block.content):
                assert (PROJECT / file.replace("\\", "/")).exists(), (file, block)


def test_both_languages_are_short_and_have_the_same_headings_and_blocks():
    assert max(TEXTS[name].count("\n") for name in NAMES) <= 700
    english, japanese = (
        [(t.tag, t.info, t.info == "mermaid" or t.content) for t in TOKENS[name] if t.type in SAME]
        for name in NAMES
    )
    assert english == japanese


@pytest.mark.parametrize("name", NAMES)
def test_links_resolve(name):
    for child in [child for token in TOKENS[name] for child in token.children or []]:
        link = child.attrGet("href") or child.attrGet("src")
        if link and not link.startswith("https://"):
            file, _, anchor = unquote(link).partition("#")
            assert (PROJECT / file).exists(), link
            ids = {token.attrGet("id") for token in TOKENS.get(file or name, [])}
            assert not anchor or anchor in ids, link


@pytest.mark.parametrize("name", NAMES)
def test_constants_are_those_of_the_scripts(name):
    sources = "".join(TEXTS[script] for script in SCRIPTS)
    constants = set(re.findall(r"^([A-Z_]+) = ([\d.]+)\b", sources, re.M))
    shown = set(re.findall(r"^\| `([A-Z_]+)` \| `([\d.]+)` \|", TEXTS[name], re.M))
    assert len(shown) > 4
    assert shown <= constants


def test_editors_and_ci_run_commands_of_the_readme():
    workflow = (PROJECT / ".github" / "workflows" / "test.yml").read_text()
    commands = re.findall("- run: (.+)", workflow)
    for task in json.loads((PROJECT / ".vscode" / "tasks.json").read_text())["tasks"]:
        if "args" in task:
            commands.append("python " + " ".join(task["args"]))
            # The emulator's task makes the venv if need be; without a .env the scripts say so.
            assert task["label"] == "Emulator" or task["dependsOn"] == "Emulator"
    assert len(commands) == 1 + 1 + len(SCRIPTS)
    assert set(commands) <= set(LINES)
