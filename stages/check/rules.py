"""Describe the rules of a table without Great Expectations, whose import takes 2-6 s."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Rule:
    """One expectation of a table."""

    expectation: str
    """Name of the expectation in Great Expectations."""

    column: str | None
    """Column of the expectation; None if it is about the whole table."""

    remedy: str
    """What to do if the expectation fails."""

    limits: dict[str, object] = field(default_factory=dict)
    """Arguments of the expectation in Great Expectations."""


@dataclass(frozen=True)
class Table:
    """A data frame, and what is expected of it."""

    name: str
    frame: "pd.DataFrame"

    id: str
    """Column that names the rows."""

    rules: tuple[Rule, ...]


def unique(column: str, remedy: str) -> Rule:
    return Rule("expect_column_values_to_be_unique", column, remedy)


def present(column: str, remedy: str) -> Rule:
    return Rule("expect_column_values_to_not_be_null", column, remedy)


def absent(column: str, remedy: str) -> Rule:
    return Rule("expect_column_values_to_be_null", column, remedy)


def one_of(column: str, values: Sequence[object], remedy: str, *, mostly: float = 1.0) -> Rule:
    """Require one of `values`. Nulls pass: `present` refuses them.

    mostly: the share of the rows that must comply.
    """
    return Rule("expect_column_values_to_be_in_set", column, remedy, {"value_set": list(values), "mostly": mostly})


def within(column: str, remedy: str, *, low: float | None = None, high: float | None = None) -> Rule:
    """Require low <= value <= high, as far as limits are given. Nulls pass."""
    return Rule("expect_column_values_to_be_between", column, remedy, _limits(low, high))


def above(column: str, low: float, remedy: str) -> Rule:
    """Require value > low."""
    return Rule("expect_column_values_to_be_between", column, remedy, {"min_value": low, "strict_min": True})


def mean_within(column: str, remedy: str, *, low: float | None = None, high: float | None = None) -> Rule:
    """Require low <= mean <= high, as far as limits are given.

    The mean of a column of 0 and 1 is the share of ones. In a table of one row it is the figure.
    """
    return Rule("expect_column_mean_to_be_between", column, remedy, _limits(low, high))


def rows(remedy: str, low: float | None = None, high: float | None = None) -> Rule:
    """Require low <= number of rows <= high, as far as limits are given."""
    return Rule("expect_table_row_count_to_be_between", None, remedy, _limits(low, high))


def _limits(low: float | None, high: float | None) -> dict[str, object]:
    return {name: value for name, value in (("min_value", low), ("max_value", high)) if value is not None}
