"""Run the test suite: python tests/run.py [pytest arguments]    paths are those of the project"""

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # also if PYTHONSAFEPATH is set
from support import environment, topology

# More workers than cores, for most tests wait; one test at a time, in order, for the slow ones first.
DEFAULTS = ["-n", "10", "--maxschedchunk", "1", "-q", "-rfEs"]


def main():
    """Run pytest with the arguments of the command line; return its exit code."""
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.environ["PYTHONIOENCODING"] = "utf-8"  # in which xdist sends its workers a path
    command = [sys.executable, "-m", "pytest", *DEFAULTS, *sys.argv[1:]]
    return subprocess.call(command, cwd=topology.PROJECT)


if __name__ == "__main__":
    environment.run_tool(main, suite=True)
