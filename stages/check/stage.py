"""Evaluate the rules over tables with Great Expectations."""

import math
from typing import TYPE_CHECKING

from inserter.params import Params
from inserter.reports import Expectation, GateReport
from inserter.run.runner import say
from stages.check import docs
from stages.check.rules import Rule, Table
from stages.check.suites import SUITES

if TYPE_CHECKING:
    import great_expectations as gx
    from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult as SuiteResult
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult as RuleResult
    from great_expectations.data_context import AbstractDataContext


def check(name: str, params: Params) -> GateReport:
    """Return the report of suite `name`."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    tables = SUITES[name](params)
    results = [(table, validate(context, table)) for table in tables]
    expectations = [found for table, result in results for found in described(table, result, params.check.first_ids)]
    held = sum(found["passed"] for found in expectations)
    _publish(context, name, results)
    say(f"check@{name}: {held} of {len(expectations)} expectations hold over {len(tables[0].frame)} rows")
    return {
        "stage": name,
        "passed": held == len(expectations),
        "rows": len(tables[0].frame),
        "expectations": expectations,
    }


def _publish(context: "AbstractDataContext", name: str, results: list[tuple[Table, "SuiteResult"]]) -> None:
    """Publish the results as Data Docs too.

    The gate reads the report alone, so a check is valid without the pages.
    """
    try:
        docs.publish(context, name, results)
    except Exception as error:  # from Great Expectations' renderers, or because the disk is full
        say(f"check@{name}: the Data Docs were not written ({type(error).__name__}: {' '.join(str(error).split())[:200]})")


def validate(context: "AbstractDataContext", table: Table) -> "SuiteResult":
    """Return the results of Great Expectations for a table: one per rule.

    The meta of each result has the number of its rule.
    """
    import great_expectations as gx

    asset = context.data_sources.add_pandas(table.name).add_dataframe_asset(table.name)
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch(batch_parameters={"dataframe": table.frame})
    # The results are not in the order of the rules, so each carries the number of its rule.
    expectations = [_expectation(number, rule) for number, rule in enumerate(table.rules)]
    return batch.validate(
        gx.ExpectationSuite(name=table.name, expectations=expectations),
        result_format={
            "result_format": "COMPLETE",
            "unexpected_index_column_names": [table.id],
            "return_unexpected_index_query": False,
        },
    )


def described(table: Table, result: "SuiteResult", first_ids: int) -> list[Expectation]:
    """Return one dict per rule, in the order of the rules.

    Each dict names the first `first_ids` rows that break the rule.
    """
    by_rule = {_number(item): item for item in result.results}
    return [_found(table, rule, by_rule[n], first_ids=first_ids) for n, rule in enumerate(table.rules)]


def _number(item: "RuleResult") -> int:
    config = item.expectation_config
    assert config is not None and config.meta is not None
    return config.meta["rule"]


def _expectation(number: int, rule: Rule) -> "gx.expectations.Expectation":
    import great_expectations as gx

    name = "".join(part.capitalize() for part in rule.expectation.split("_"))
    column = {} if rule.column is None else {"column": rule.column}
    return getattr(gx.expectations, name)(**column, **rule.limits, meta={"rule": number}, notes=f"Remedy: {rule.remedy}.")


def _found(table: Table, rule: Rule, item: "RuleResult", *, first_ids: int) -> Expectation:
    if item.exception_info and "observed_value" not in item.result and "element_count" not in item.result:
        raise RuntimeError(f"{rule.expectation} on {table.name}.{rule.column}: {item.exception_info}")
    count, ids, observed = _broken(table, rule, item)
    return {
        "table": table.name,
        "expectation": rule.expectation,
        "column": rule.column,
        "passed": bool(item.success),
        "observed": _plain(observed),
        "limit": _limit(rule),
        "unexpected_count": count,
        "first_ids": ids[:first_ids],
        "remedy": rule.remedy,
    }


def _broken(table: Table, rule: Rule, item: "RuleResult") -> tuple[int, list[str], object]:
    """Return how many rows break the rule, their ids (each once), and what was observed."""
    result = item.result
    if "element_count" in result:  # a rule about every row
        ids = dict.fromkeys(str(row[table.id]) for row in result["unexpected_index_list"])
        return result["unexpected_count"], list(ids), result["unexpected_list"][:3]
    if item.success or rule.column is None:
        return 0, [], result["observed_value"]
    # The share of ones is wrong: name the rows that are ones.
    ones = table.frame.loc[table.frame[rule.column] == 1, table.id]
    return len(ones), [str(value) for value in ones], result["observed_value"]


def _limit(rule: Rule) -> object:
    if rule.limits.get("mostly", 1.0) == 1.0 and "value_set" in rule.limits:
        return rule.limits["value_set"]
    return {name.removesuffix("_value"): value for name, value in rule.limits.items()} or None


def _plain(value: object) -> object:
    """Return `value` as JSON can hold it, which has no NaN and no numpy numbers."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and math.isnan(value) else value
