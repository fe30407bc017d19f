"""Extract the text of HTML; text that is not HTML passes unchanged.

A sign counts as markup only where it can be nothing else. An HTML parser cannot decide this. By
the standard, `x<y and y>z` has a tag, and a stray `<!--` or `</3` swallows the text after it. So
this module recognises a tag by its form. The table of the standard library decodes references.
"""

import html
import re
from html.entities import html5

# INLINE elements separate no words, CELLS separate cells, and BLOCKS separate paragraphs.
# A name that HTML does not have separates words.
INLINE = """
    a abbr acronym b bdi bdo big blink cite code data del dfn em font i ins kbd label mark nobr q rp rt ruby s samp small span
    strike strong sub sup time tt u var wbr
"""
CELLS = "button img input option picture source td th"
BLOCKS = """
    address area article aside audio base basefont blockquote body canvas caption center col colgroup datalist dd details dialog dir
    div dl dt embed fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html iframe legend
    li link main map menu meta meter nav noscript object ol optgroup output p param pre progress search section select slot summary
    table tbody textarea tfoot thead title tr track ul video
"""
# Attributes that the standard allows without a value. Any other word without a value is prose:
# `if a<b and c>d`.
FLAGS = """
    allowfullscreen async autofocus autoplay checked compact controls default defer disabled formnovalidate hidden inert ismap
    itemscope loop multiple muted nomodule noshade novalidate nowrap open playsinline readonly required reversed selected
"""
# Elements whose content is not shown as text.
HIDDEN = "script style template head svg annotation annotation-xml"
WITHIN_A_LINE = (  # a browser shows nothing in their place and does not break the line
    "script",
    "style",
    "template",
    "svg",
    "annotation",
    "annotation-xml",
)
# The text that replaces a start tag or an end tag.
STANDS_FOR = {
    **dict.fromkeys(INLINE.split(), ""),
    **dict.fromkeys(CELLS.split(), " "),
    **dict.fromkeys(BLOCKS.split(), "\n\n"),
    "br": "\n",
}

_VALUE = r"""(?:"[^"]{0,4000}"|'[^']{0,4000}'|[^\s"'=<>`]+)"""
_ATTRIBUTE = rf"""\s+(?:[^\s"'<>/=]+\s*=\s*{_VALUE}|(?:{"|".join(FLAGS.split())})\b)"""
_TAG = re.compile(rf"(?<!<)<(?P<end>/?)(?P<name>[a-z][a-z0-9:-]*)(?P<has>(?:{_ATTRIBUTE}){{0,50}}+)\s*(?P<void>/?)>(?!>)", re.I)
_DECLARATION = re.compile(r"<!(?:doctype|\[(?:if|endif))\b[^<>]*>|<\?xml\b[^<>]*\?>", re.I)
_POWER = re.compile(r"<sup>\s*([-+−]?\d{1,3})\s*</sup>", re.I)
# Possessive quantifiers, so that a long run of blanks takes linear time.
_LEAF = r"\s*+<m(?:[ino]|text)>\s*+([^<>]{1,40}?)\s*+</m(?:[ino]|text)>\s*+"
_FORMULAS = [
    (re.compile(r"</?m(?:row|style)\b[^<>]*>", re.I), ""),
    (re.compile(rf"<mfrac>{_LEAF}{_LEAF}</mfrac>", re.I), r"<mn>\1/\2</mn>"),
    (re.compile(rf"<msup>{_LEAF}{_LEAF}</msup>", re.I), r"<mi>\1<sup>\2</sup></mi>"),
    (re.compile(rf"<msub>{_LEAF}{_LEAF}</msub>", re.I), r"<mi>\1\2</mi>"),
    (re.compile(rf"<msqrt>{_LEAF}</msqrt>", re.I), r"<mi>√\1</mi>"),
]
_POWERS = str.maketrans("0123456789-+−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺⁻")

_LEGACY = [name for name in html5 if not name.endswith(";")]  # HTML allows them without a semicolon
_LETTERS = [name for name in _LEGACY if html5[name] >= "À" and html5[name].isalpha() and name.lower() not in ("eth", "thorn")]
_REFERENCE = re.compile(
    r"&(?:#[0-9]{1,7};?|#[xX][0-9a-fA-F]{1,6};?|[A-Za-z][A-Za-z0-9]{1,31};"
    rf"|(?:{'|'.join(_LETTERS)})(?!\w*=)|(?:{'|'.join(_LEGACY)})(?![a-z]|\w*=))"
)


def without_markup(text: str) -> str:
    """Remove tags, comments, declarations and hidden content.

    Blocks and line breaks become line breaks. References stay: `&lt;b&gt;` is the text `<b>`.
    """
    if "<" not in text:
        return text
    text = _between(_between(text, "<!--", "-->", new=" "), "<?php", "?>", new=" ")
    lowered = text.lower()
    for name in HIDDEN.split():
        if f"</{name}" in lowered:
            text = _hidden(text, name)
    text = _DECLARATION.sub(" ", text.replace("<![CDATA[", "").replace("]]>", "") if "<![CDATA[" in text else text)
    if "<m" in text:
        text = _formulas(text)
    text = _POWER.sub(lambda match: match[1].translate(_POWERS), text)
    ended = set(re.findall(r"</([a-z][a-z0-9:-]*)\s*>", text.lower()))
    return _TAG.sub(lambda match: _instead(match, ended), text)


def _formulas(text: str) -> str:
    """Write fractions, powers, indices and roots of MathML as a/b, x², x2 and √x, innermost first.

    If only the tags were removed, two numbers would stand side by side.
    """
    for pattern, new in _FORMULAS * 2:
        text = pattern.sub(new, text)
    return text


def decoded(text: str) -> str:
    """Decode character references up to three times, because feeds escape twice (`&amp;#8217;`).

    A reference without a semicolon is decoded only where HTML allows it. Such a reference stays in
    an address (`?a=1&copy=2`), and at the beginning of a longer word if it is no accented letter.
    """
    for _ in range(3 if "&" in text else 0):
        text = _REFERENCE.sub(lambda match: _character(match[0]), text)
    return text


def _character(reference: str) -> str:
    """Return the character of a reference; an unknown name stays.

    A number that stands for nothing becomes a blank, because it may separate words.
    """
    return html.unescape(reference) or " " if reference[1] == "#" else html5.get(reference[1:], reference)


def _between(text: str, start: str, end: str, *, new: str) -> str:
    """Replace each part from `start` to `end` by `new`; a part without an end stays."""
    kept, at = [], 0
    while (first := text.find(start, at)) >= 0 and (last := text.find(end, first + len(start))) >= 0:
        kept += [text[at:first], new]
        at = last + len(end)
    return "".join([*kept, text[at:]])


def _hidden(text: str, name: str) -> str:
    """Remove the elements `name` that have an end, with their content."""
    ends = re.compile(rf"</{name}\s*>", re.I)
    kept, at = [], 0
    for begin in re.finditer(rf"<{name}(?:{_ATTRIBUTE}){{0,50}}+\s*>", text, re.I):
        if begin.start() < at:
            continue
        end = ends.search(text, begin.end())
        if end is None:
            break
        kept += [text[at : begin.start()], " " if name in WITHIN_A_LINE else "\n\n"]
        at = end.end()
    return "".join([*kept, text[at:]])


def _instead(match: re.Match[str], ended: set[str]) -> str:
    """Return the text that replaces a tag; a match that is no tag stays.

    An end tag, a self-closing tag, and a tag with attributes or with an end tag in the text are
    always tags. Any other match is no tag if HTML does not have its name, or if it compares.
    """
    name = match["name"].lower()
    sure = match["end"] or match["void"] or match["has"] or name in ended
    if sure or (name in STANDS_FOR and not _compares(match)):
        return STANDS_FOR.get(name, " ")
    return match[0]


def _compares(match: re.Match[str]) -> bool:
    """Return whether the name is one letter between words: `if a<b>c` has no bold c."""
    text, before, after = match.string, match.start() - 1, match.end()
    return len(match["name"]) == 1 and text[max(before, 0)].isalnum() and text[after : after + 1].isalnum()
