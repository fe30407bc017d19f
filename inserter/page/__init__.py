"""What the static pages share: their look (base.css), and how text and scripts get into them safely."""

import base64
import hashlib
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


@cache
def text(package: str, name: str) -> Markup:
    """A file of ours, such as a style or a script, to stand in a page as it is."""
    return Markup(files(package).joinpath(name).read_text(encoding="utf-8"))


def environment(package: str, folder: str = "template") -> Environment:
    """Templates of `package`/`folder`: everything is escaped, and a name that is not given is an error."""
    loader = PackageLoader(package, folder)
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def policy_hash(script: str) -> str:
    """`sha256-…` of an inline script, for the page's Content-Security-Policy: no other script runs in it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
