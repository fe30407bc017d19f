"""Show Data Docs with Great Expectations' renderers and templates, but without its CDNs.

So the pages work from a file. The original site loads Bootstrap, jQuery and others from seven
hosts, and its index is empty without them.
"""

from great_expectations.render.view.view import DefaultJinjaIndexPageView, DefaultJinjaPageView
from jinja2 import ChoiceLoader, PackageLoader

from inserter.page import text


def _ours(view: DefaultJinjaPageView | DefaultJinjaIndexPageView) -> None:
    """Replace templates by those of the same name in stages/check/data_docs."""
    theirs = view.env.loader
    assert theirs is not None
    view.env.loader = ChoiceLoader([PackageLoader("stages.check", "data_docs"), theirs])
    view.env.globals["base_style"] = text("inserter.page", "base.css")


class PageView(DefaultJinjaPageView):
    """Page of a suite, or of its results."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)
        _ours(self)


class IndexView(DefaultJinjaIndexPageView):
    """Index of all suites and results."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)
        _ours(self)
