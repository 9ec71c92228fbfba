"""Running a tool of tests/ as a process, to test it."""

import os
import re
import subprocess
import sys


def run_tool(path, *arguments, python=sys.executable, cwd=None, **changes):
    """Run a tool to its end; return its CompletedProcess, with stderr in stdout.

    changes: variables; None removes one. Its .table is a dict of the lines of words and a number.
    """
    result = subprocess.run(
        [str(python), str(path), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env={k: v for k, v in {**os.environ, **changes}.items() if v is not None},
        cwd=cwd,
        timeout=140,
        check=False,
    )
    result.table = dict(re.findall(r"^([a-z ]+?) +(\S+)$", result.stdout, re.MULTILINE))
    assert "Traceback" not in result.stdout, result.stdout
    return result
