"""The browser of items that pages of answers share: filters, sound, answers and verdicts.

An answer stands in a column: a form of the model, or a system.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from jinja2 import Environment
from markupsafe import Markup

from inserter.page import environment, policy_hash, text
from inserter.page.browser import words
from inserter.page.browser.items import PageItem

Name = tuple[str, str]
"""A short name of a column, and a long one."""


class Parts(TypedDict):
    """What the templates of the browser need."""

    items: Sequence[PageItem]
    choices: dict[str, dict[str, str]]
    outcomes: dict[str, str]
    data: Markup
    script: Markup
    script_hash: str
    style: Markup


def templates(package: str) -> Environment:
    """Return the templates of `package` and of the browser, with the filters that both use."""
    found = environment(package, "inserter.page.browser")
    found.filters["percent"] = words.percent
    found.filters["signed"] = words.signed
    found.globals["followed"] = words.FOLLOWED
    found.globals["words"] = words
    return found


def parts(items: Sequence[PageItem], columns: Mapping[str, Name], pair: tuple[str, str], *, style: Markup) -> Parts:
    """Return what the browser's templates need.

    columns: the names of the answers' columns, in order. pair: the two columns that a reader can
    filter by; the same one twice if there is one alone. style: the page's own.
    """
    script = text("inserter.page.browser", "template/app.js")
    names = {"forms": columns, "variants": words.VARIANTS, "pair": pair}
    return {
        "items": items,
        "choices": _choices(items),
        "outcomes": _outcomes(*(columns[name][0] if name in columns else name for name in pair)),
        "data": embedded({"items": items, "names": names}),
        "script": script,
        "script_hash": policy_hash(script),
        "style": text("inserter.page", "base.css") + style + text("inserter.page.browser", "template/style.css"),
    }


def embedded(value: object) -> Markup:
    """Return `value` as JSON for a <script> element.

    Escaping <, > and & keeps text from ending the element or starting a comment.
    """
    data = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    data = data.encode("utf-8", "replace").decode()  # a lone surrogate is not valid UTF-8
    for character in "<>&\u2028\u2029":
        data = data.replace(character, f"\\u{ord(character):04x}")
    return Markup(data)


def _outcomes(first: str, second: str) -> dict[str, str]:
    """Return {outcome of app.js: its name} of the filter."""
    of_two = {"lost": f"{first} fails where {second} passes", "gained": f"{first} passes where {second} fails"}
    of_one = {"passes": f"{first} passes", "fails": f"{first} fails"}
    both = {"both": f"{first} and {second} both fail"}
    two = first != second
    return {**(of_two if two else {}), **of_one, **(both if two else {}), "open": "no verdict"}


def _choices(items: Sequence[PageItem]) -> dict[str, dict[str, str]]:
    """Return {filter: {value: name}} for the browser, with only the values that some item has."""
    kinds = {kind: name for item in items for kind, name, _ in item["checks"]}
    return {
        "task": _offered(items, "task", words.TASKS),
        "lang": _offered(items, "lang", words.LANGUAGES),
        "variant": _offered(items, "variant", words.VARIANTS),
        "kind": dict(sorted(kinds.items(), key=lambda pair: pair[1])),
    }


def _offered(items: Sequence[PageItem], field: Literal["task", "lang", "variant"], names: dict[str, str]) -> dict[str, str]:
    used = {item[field] for item in items}
    return {value: names.get(value, value) for value in (*names, *sorted(used - names.keys())) if value in used}
