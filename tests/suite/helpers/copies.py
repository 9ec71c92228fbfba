"""Copies of the project and of its scripts, to run and to edit."""

import re
import shutil
import subprocess
from pathlib import Path

from support.topology import PROJECT, SCRIPTS

# For edited(): so that no test waits 30 s for a message to come back.
SHORT = ("VISIBILITY_TIMEOUT = 30", "VISIBILITY_TIMEOUT = 2")
TOP_LEVEL = [*SCRIPTS, "README.md", "README.ja.md", "requirements.txt", "tests", ".env.example"]
TOP_LEVEL += [".ci", ".devcontainer", ".github", ".gitignore", ".pytest.ini", ".ruff.toml"]
TOP_LEVEL += [".gitattributes", ".typos.toml", ".vscode"]


def copy_project(folder):
    """Copy the project's own files into a folder, and return it; what a participant left is none."""
    if (PROJECT / ".git").exists() and shutil.which("git"):
        command = ["git", "ls-files", "-z"]
        listing = subprocess.check_output(command, cwd=str(PROJECT), encoding="utf-8")
        paths = [PROJECT / name for name in listing.split("\0") if name]
    else:  # a ZIP
        paths = [p for name in TOP_LEVEL for p in [PROJECT / name, *(PROJECT / name).rglob("*")]]
    for path in paths:
        if path.is_file() and path.suffix != ".pyc":
            target = Path(folder, path.relative_to(PROJECT))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(path), str(target))
    return Path(folder)


def edited(script, folder, *changes):
    """Put a copy of the script into the folder, or take the one there, and edit it; return the folder.

    changes: old, new, old, new ...; each old must stand once in the text, else AssertionError.
    """
    path = Path(folder, script)
    text = (path if path.exists() else PROJECT / script).read_text(encoding="utf-8")
    for old, new in zip(changes[::2], changes[1::2]):
        assert text.count(old) == 1, f"{text.count(old)} times in {script}: {old}"
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return Path(folder)


def hunks(diff):
    """Return the changes of a diff as a list for edited(): old, new, old, new ...; "@@" parts them."""
    changes = []
    for hunk in re.split(r"^@@.*\n", diff, flags=re.M):
        lines = [line or " " for line in hunk.splitlines()]
        for sign in "-+":
            changes.append("\n".join(line[1:] for line in lines if line[0] in " " + sign))
    return changes
