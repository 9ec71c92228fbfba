"""README.md and README.ja.md, parsed."""

import re
from types import SimpleNamespace

import pytest
from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin

from support.topology import PROJECT

NAMES = ["README.md", "README.ja.md"]
EXECUTED = r"(sh|text|json) t\d|diff \w+\.py|python \w+\.py"  # info strings


def parse(name):
    """Return a page: its .name, .text, .tokens, .blocks, and the .sections to follow.

    sections: a dict of the IDs of ## and ### headings to the blocks to execute below.
    """
    text = (PROJECT / name).read_text(encoding="utf-8")
    tokens = MarkdownIt("commonmark").enable("table").use(anchors_plugin, max_level=6).parse(text)
    blocks = [token for token in tokens if token.type in ("fence", "code_block")]
    sections, section = {}, []
    for token in tokens:
        if token.tag in ("h2", "h3") and token.nesting == 1:
            section = sections[token.attrGet("id")] = []
        elif re.fullmatch(EXECUTED, token.info):
            section.append(token)
    sections = {name: todo for name, todo in sections.items() if todo}
    return SimpleNamespace(name=name, text=text, tokens=tokens, blocks=blocks, sections=sections)


def pytest_generate_tests(metafunc):
    """Let a test that asks for a section have each of README.md in turn."""
    if "section" in metafunc.fixturenames:
        metafunc.parametrize("section", parse(NAMES[0]).sections)


@pytest.fixture(scope="session")
def pages():
    """Both pages by their names."""
    return {name: parse(name) for name in NAMES}


@pytest.fixture(params=NAMES)
def page(pages, request):
    """Each page in turn."""
    return pages[request.param]
