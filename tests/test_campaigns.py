"""The campaigns, small."""

import re
import subprocess
import sys

from conftest import PROJECT


def run_campaign(script, *arguments):
    """Run a campaign under tests/; return (exit code, its table as a dict, all of its output)."""
    result = subprocess.run(
        [sys.executable, str(PROJECT / "tests" / script), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        timeout=145,
        check=False,
    )
    table = dict(re.findall(r"^([a-z]+(?: [a-z]+)*)  +(\S+)", result.stdout, re.MULTILINE))
    return result.returncode, table, result.stdout


def test_kills_and_an_outage_lose_nothing():
    code, table, output = run_campaign(
        "chaos.py", "--orders", "200", "--kills", "10", "--outages", "1", "--seed", "3"
    )
    assert code == 0, output
    assert (table["sent"], table["arrived"]) == ("200", "200")
    assert (table["lost"], table["answered wrongly"]) == ("0", "0")
    assert (int(table["kills"]) > 4, table["outages"]) == (True, "1")


def test_memory_does_not_grow():
    code, table, output = run_campaign("growth.py", "--messages", "100", "--first", "50")
    assert code == 0, output
    assert set(table) >= {"filter validate", "filter enrich", "final consumer", "replier"}
