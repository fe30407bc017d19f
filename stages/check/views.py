"""How Data Docs are shown: Great Expectations' renderers and templates, but without its CDNs, so that they work from a file.

As it comes, the site loads Bootstrap, jQuery and others from seven hosts, and without them its index is empty.
"""

from typing import Any

from great_expectations.render.view.view import DefaultJinjaIndexPageView, DefaultJinjaPageView
from jinja2 import ChoiceLoader, PackageLoader

from inserter.page import text


def _ours(view: Any) -> None:
    """Templates in stages/check/data_docs take the place of those of the same name."""
    view.env.loader = ChoiceLoader([PackageLoader("stages.check", "data_docs"), view.env.loader])
    view.env.globals["base_style"] = text("inserter.page", "base.css")


class PageView(DefaultJinjaPageView):
    """A suite, or what was found by it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        _ours(self)


class IndexView(DefaultJinjaIndexPageView):
    """All suites and results."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        _ours(self)
