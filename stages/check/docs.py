"""Publish the findings as Great Expectations' own HTML site, reports/data_docs/index.html.

The site is outside DVC, because the names of its pages contain the time of the run. A check renews
the pages of its own tables. The results of all checks are kept beside the pages, in Great
Expectations' JSON, because the index is made from them.
"""

import logging
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from inserter.paths import REPORTS
from inserter.tables import known
from stages.check.rules import Table

if TYPE_CHECKING:
    from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult as SuiteResult
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context import AbstractDataContext
    from great_expectations.data_context.store import ExpectationsStore, ValidationResultsStore

SITE = REPORTS / "data_docs"
# Rows per broken rule in the stored results. A table that is all wrong must not be stored again.
SHOWN = 20
LISTS = ("unexpected_list", "unexpected_index_list")
VIEWS = {"module_name": "stages.check.views"}


def publish(context: "AbstractDataContext", stage: str, found: list[tuple[Table, "SuiteResult"]], *, site: Path = SITE) -> Path:
    """Build the pages of `stage` and return the index.

    found: the stage's tables, each with its result of Great Expectations.
    Raises whatever Great Expectations raises. Raises RuntimeError if a page was not made, which
    Great Expectations only logs.
    """
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context.store import ExpectationsStore, ValidationResultsStore

    # A table that is no longer checked must leave no page.
    for part in ("suites", "results", "expectations", "validations"):
        shutil.rmtree(site / part / stage, ignore_errors=True)
    suites = ExpectationsStore(_folder(site / "suites"), data_context=context)
    results = ValidationResultsStore(_folder(site / "results", ".json"))
    context.stores[context.expectations_store_name] = suites
    context.stores[context.validation_results_store_name] = results
    run = RunIdentifier(run_name=stage)
    for table, result in found:
        _store(suites, results, f"{stage}.{_slug(table.name)}", run=run, table=table, result=result)
    return _build(context, site)


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "-", name)


def _folder(path: Path, suffix: str | None = None) -> dict[str, str]:
    backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(path.resolve())}
    return backend if suffix is None else backend | {"filepath_suffix": suffix}


def _store(
    suites: "ExpectationsStore",
    results: "ValidationResultsStore",
    name: str,
    *,
    run: "RunIdentifier",
    table: Table,
    result: "SuiteResult",
) -> None:
    """Store the result, and its expectations as a suite called `name`.

    Rows that no page shows are left out.
    """
    import great_expectations as gx
    from great_expectations.data_context.types.resource_identifiers import ExpectationSuiteIdentifier, ValidationResultIdentifier

    rows = len(table.frame)
    expectations = [known(item.expectation_config) for item in result.results]
    for item, expectation in zip(result.results, expectations, strict=True):
        item.result.update({key: item.result[key][:SHOWN] for key in LISTS if key in item.result})
        expectation.kwargs.pop("batch_id", None)
    result.suite_name = name
    asset = {"data_asset_name": f"{table.name}, {rows:,} row{'' if rows == 1 else 's'}", "rows": rows, "named by": table.id}
    result.meta = {"run_id": run, "batch_spec": asset}
    suite = ExpectationSuiteIdentifier(name)
    suites.set(suite, gx.ExpectationSuite(name=name, expectations=[*expectations]))
    results.set(ValidationResultIdentifier(suite, run, f"{rows}-rows"), result)


def _build(context: "AbstractDataContext", site: Path) -> Path:
    """Build the pages of all stored results and return the index.

    The views need no network. The index drops pages that have no result.
    """
    from great_expectations.render.renderer.site_builder import SiteBuilder

    page = {"view": VIEWS | {"class_name": "PageView"}}
    log = _Errors()
    logger = logging.getLogger("great_expectations.render.renderer.site_builder")
    logger.addHandler(log)
    try:
        builder = SiteBuilder(
            context,
            _folder(site),
            site_name="inserter",
            show_how_to_buttons=False,
            site_section_builders={"expectations": page, "validations": page, "profiling": "None"},
            site_index_builder={"class_name": "DefaultSiteIndexBuilder", "view": VIEWS | {"class_name": "IndexView"}},
        )
        # `build()` would also copy 4 MB of fonts and pictures.
        for section in builder.site_section_builders.values():
            section.build()
        builder.site_index_builder.build()
    finally:
        logger.removeHandler(log)
    if log.messages:
        raise RuntimeError(log.messages[0])
    return site / "index.html"


class _Errors(logging.Handler):
    """Handler that keeps what the site builder logs instead of raising it."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        lines = record.getMessage().split("follows:")[-1].split("Traceback:")[0].split()
        self.messages.append(" ".join(lines))
