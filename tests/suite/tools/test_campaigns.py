"""Demo and campaign, small: no order is lost but the one that a filter loses, and that is said."""

import re

import pytest

from suite.helpers.copies import SHORT, edited
from support.topology import POLLERS


def run_with_faults(run_script, clone, tool, *arguments):
    """Run a tool while Filter B loses ORD-2, and puts ORD-3 aside; return its table."""
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
    result = run_script(tool, *arguments, folder=clone)
    table = dict(re.findall(r"^([a-z ]+?) +(\d+)$", result.out, re.MULTILINE))
    table = {title: int(value) for title, value in table.items()}
    assert (result.returncode, table["lost"]) == (1, 1), result.out
    assert table["sent"] == table["arrived"] + table["poisoned"] + 1
    return table, result.out


@pytest.mark.slow
def test_campaign_with_kills_and_an_outage(run_script, clone):
    arguments = ["--orders", 60, "--kills", 2, "--outages", 1, "--seed", 6]
    table, text = run_with_faults(run_script, clone, "tests/campaigns/chaos.py", *arguments)
    assert (table["sent"], table["kills"], table["outages"]) == (60, 2, 1)
    assert table["answered"] > 0
    assert "\nLost: ORD-2\nWhat was printed" in text  # no other fault


@pytest.mark.slow
def test_demo(run_script, clone):
    orders = [f'{{"order_id": "ORD-{n}", "amount": 1}}\n' for n in range(9)]
    (clone / "tests" / "data" / "orders.jsonl").write_text("".join(orders))
    table, text = run_with_faults(run_script, clone, "tests/demo.py")
    assert (table["sent"], "\033" in text) == (10, False)
