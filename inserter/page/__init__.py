"""The shared look of the static pages (base.css), and safe insertion of text and scripts."""

import base64
import hashlib
from functools import cache
from importlib.resources import files

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


@cache
def text(package: str, name: str) -> Markup:
    """Return a file of `package`, such as a style or a script, to be inserted without escaping."""
    return Markup(files(package).joinpath(name).read_text(encoding="utf-8"))


def environment(*packages: str) -> Environment:
    """Return the templates of the folders `template` of `packages`; the first that has one wins.

    Every value is escaped, and an undefined name is an error.
    """
    loader = ChoiceLoader([PackageLoader(package, "template") for package in packages])
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def policy_hash(script: str) -> str:
    """Return `sha256-…` of an inline script, for the page's Content-Security-Policy.

    No other script runs in the page.
    """
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
