"""The README's filter with a pool of threads: nothing is lost or doubled, and Ctrl+C is clean."""

import json
from collections import Counter

from benchmark import orders, threaded
from conftest import depth, interrupt, send, take, wait_until


def test_threads_lose_and_double_nothing_with_ctrl_c_in_mid_work(storage, start, tmp_path):
    (path,) = threaded(tmp_path)
    source = path.read_text(encoding="utf-8")
    assert source.count('"visibility_timeout": 30') == 1
    path.write_text(source.replace('"visibility_timeout": 30', '"visibility_timeout": 5'))
    send(storage, "queue-validate", *orders(200))
    filter_a = start(path.name, folder=tmp_path)
    filter_a.expect_exact('"ORD-20"')
    output, code = interrupt(filter_a)
    assert output.count("[Filter A] Stopped.\n") == 1
    assert code == 0
    assert 0 < depth(storage, "queue-validate") < 200
    start(path.name, folder=tmp_path)
    wait_until(lambda: not depth(storage, "queue-validate"))
    found = Counter(json.loads(text)["order_id"] for text in take(storage, "queue-enrich", 200))
    assert sorted(found) == sorted(f"ORD-{n}" for n in range(200))
    assert set(found.values()) == {1}
