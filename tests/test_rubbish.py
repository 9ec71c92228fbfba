"""What hypothesis can think of: messages that are no orders, and requests for no queue."""

import json

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from support.orders import OUTPUTS, REPLY_QUEUE, give, wait_done
from support.queues import depth
from support.terminals import printed
from support.topology import POLLERS, QUEUES

SIZE = 51  # messages of a batch, more than one receive takes
# Whatever XML, and so a message, can carry.
TEXT = st.text(st.characters(min_codepoint=32, blacklist_categories=["Cs", "Cn"]), min_size=1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
OBJECTS = st.dictionaries(TEXT, JSON, max_size=4)
REQUESTS = st.fixed_dictionaries(
    {"amount": JSON, "payload": JSON, "reply_to": st.just(REPLY_QUEUE) | JSON}
)
MESSAGES = TEXT | st.one_of(OBJECTS, REQUESTS, JSON).map(json.dumps)


@pytest.mark.parametrize("script", [script for script in POLLERS if OUTPUTS[script]])
def test_rubbish_goes_on_or_is_put_aside_or_rejected(start, storage, script):
    sent = []

    @settings(max_examples=2, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(st.lists(MESSAGES, min_size=SIZE, max_size=SIZE))
    def feed(texts):
        give(storage, script, *texts)
        sent.extend(texts)

    feed()
    terminal = start(script, traceback=script == "replier.py")  # of a request without payload
    wait_done(storage, script)
    rejected = printed(terminal).count("Validation failed.")
    ends = depth(storage, OUTPUTS[script]), depth(storage, f"{QUEUES[script][0]}-poison"), rejected
    assert sum(ends) == len(sent), ends
