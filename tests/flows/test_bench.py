"""The harness of side-by-side measurements."""

from flows.bench import compare


def test_each_pair_is_measured_side_by_side_and_order_alternates() -> None:
    calls: list[str] = []
    found = compare("sum", lambda: calls.append("a"), lambda: calls.append("b"), "b", pairs=4)
    assert "".join(calls) == "ab" + "abba" * 2
    assert set(found) == {"name", "ratio", "low", "high", "against"}
    assert 0 < found["low"] <= found["ratio"] <= found["high"]


def test_the_slower_side_gives_a_ratio_above_one() -> None:
    found = compare("sum", lambda: sum(range(10)), lambda: sum(range(1_000_000)), "a hundred thousand times as many")
    assert found["low"] > 1
