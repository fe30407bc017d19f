"""What is expected of a table, in words that need no Great Expectations: importing that takes 2-6 s."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Rule:
    """One expectation. expectation, limits: its name and arguments in Great Expectations; remedy: what to do then."""

    expectation: str
    column: str | None
    remedy: str
    limits: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A data frame with the column that names its rows and what is expected of it."""

    name: str
    frame: "pd.DataFrame"
    id: str
    rules: tuple[Rule, ...]


def unique(column: str, remedy: str) -> Rule:
    return Rule("expect_column_values_to_be_unique", column, remedy)


def present(column: str, remedy: str) -> Rule:
    return Rule("expect_column_values_to_not_be_null", column, remedy)


def absent(column: str, remedy: str) -> Rule:
    return Rule("expect_column_values_to_be_null", column, remedy)


def one_of(column: str, values: Sequence[Any], remedy: str, mostly: float = 1.0) -> Rule:
    """Nulls pass: `present` refuses them. mostly: the share of the rows that must comply."""
    return Rule("expect_column_values_to_be_in_set", column, remedy, {"value_set": list(values), "mostly": mostly})


def within(column: str, remedy: str, low: float | None = None, high: float | None = None) -> Rule:
    """low <= value <= high, where a limit is given. Nulls pass here too."""
    return Rule("expect_column_values_to_be_between", column, remedy, _limits(low, high))


def above(column: str, low: float, remedy: str) -> Rule:
    """value > low."""
    return Rule("expect_column_values_to_be_between", column, remedy, {"min_value": low, "strict_min": True})


def mean_within(column: str, remedy: str, low: float | None = None, high: float | None = None) -> Rule:
    """Of a column of 0 and 1: the share of ones. Of a table of one row: the figure there."""
    return Rule("expect_column_mean_to_be_between", column, remedy, _limits(low, high))


def rows(remedy: str, low: float | None = None, high: float | None = None) -> Rule:
    """The table has low <= rows <= high."""
    return Rule("expect_table_row_count_to_be_between", None, remedy, _limits(low, high))


def _limits(low: float | None, high: float | None) -> dict[str, float]:
    return {name: value for name, value in (("min_value", low), ("max_value", high)) if value is not None}
