"""`inserter page`: one page with the scores and answers of any number of systems side by side.

The page makes no network requests, and all answers on it are escaped.
"""

from inserter.page.systems.build import build

__all__ = ["build"]
