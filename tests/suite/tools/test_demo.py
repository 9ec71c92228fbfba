"""Demo and campaign: what they say, what they count as lost, and that nothing of them stays."""

import os
import re
import sys

import pexpect
import psutil
import pytest

import demo
from suite.helpers.copies import SHORT, edited
from suite.helpers.terminals import pseudo_terminal, spawn
from support.topology import POLLERS, PROJECT, TIMEOUT

DEMO = [sys.executable, str(PROJECT / "tests" / "demo.py")]


def family(process):
    """Return the process and all that it started, once the demo has sent an order."""
    process.expect_exact("-> Sent to")
    tool = psutil.Process(process.pid)
    found = [tool, *tool.children(recursive=True)]
    assert len(found) >= 6  # it, four pollers and Azurite; the producer may have ended
    return found


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_demo_is_coloured_beside_a_netrc_and_ctrl_c_stops_all_of_it(tmp_path):
    """How it ends if nobody stops it, the handbook's test sees, behind a company proxy."""
    (tmp_path / ".netrc").write_text("default login somebody password secret\n")
    variables = {k: v for k, v in os.environ.items() if k not in ("NETRC", "NO_COLOR")}
    terminal = pseudo_terminal(DEMO, {**variables, "HOME": str(tmp_path), "TERM": "xterm"})
    started = family(terminal)
    assert "\033[33mfilter_validate" in terminal.log.getvalue()
    terminal.sendintr()
    terminal.expect_exact("Stopped.")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert "Traceback" not in terminal.log.getvalue()
    assert terminal.exitstatus == 1
    assert psutil.wait_procs(started, timeout=TIMEOUT)[1] == []


def test_all_of_the_demo_goes_also_if_it_is_killed():
    process = spawn(DEMO, timeout=4 * TIMEOUT)
    started = family(process)
    process.proc.kill()
    process.proc.wait()
    assert psutil.wait_procs(started, timeout=TIMEOUT)[1] == []


def test_what_the_demo_says_comes_next_stands_in_the_handbook():
    commands = [line.split(": ")[1].strip() for line in demo.NEXT.splitlines()[-3:]]
    for name in ("README.md", "README.ja.md"):
        lines = (PROJECT / name).read_text(encoding="utf-8").splitlines()
        assert set(commands) <= set(lines), name


@pytest.fixture
def run_with_faults(run_script, clone):
    """Return run_with_faults(tool, *arguments): its table and output while Filter B loses ORD-2."""
    (clone / ".env").write_text("A user's own, in UTF-16", encoding="utf-16")  # nobody may read it
    for script in POLLERS:
        edited(script, clone, *SHORT)
    work = "                handle(msg, output_client, poison_client)\n"
    loses = f"""\
                if '"ORD-3"' in msg.content:
                    poison_client.send_message(msg.content)
                elif '"ORD-2"' not in msg.content:
    {work}"""
    edited("filter_enrich.py", clone, work, loses)

    def run_with_faults(tool, *arguments):
        result = run_script(tool, *arguments, folder=clone)
        figures = re.findall(r"^([a-z ]+?) +(\d+)$", result.out, re.MULTILINE)
        table = {title: int(value) for title, value in figures}
        assert (result.returncode, table["lost"]) == (1, 1), result.out
        assert table["sent"] == table["arrived"] + table["poisoned"] + 1
        return table, result.out

    return run_with_faults


@pytest.mark.slow
def test_campaign_with_kills_and_an_outage_loses_what_a_filter_loses(run_with_faults):
    arguments = ["--orders", 60, "--kills", 2, "--outages", 1, "--seed", 6]
    table, text = run_with_faults("tests/campaigns/chaos.py", *arguments)
    assert (table["sent"], table["kills"], table["outages"]) == (60, 2, 1)
    assert table["answered"] > 0
    assert "\nLost: ORD-2\nWhat was printed" in text  # no other fault


@pytest.mark.slow
def test_demo_loses_what_a_filter_loses(run_with_faults, clone):
    orders = [f'{{"order_id": "ORD-{n}", "amount": 1}}\n' for n in range(9)]
    (clone / "tests" / "data" / "orders.jsonl").write_text("".join(orders))
    table, text = run_with_faults("tests/demo.py")
    assert (table["sent"], "\033" in text) == (10, False)
