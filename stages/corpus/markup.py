"""Text out of HTML. Text that is none passes unchanged: a sign is taken for markup only where nothing else can stand.

A parser of HTML cannot tell: by the standard `x<y and y>z` has a tag, and a stray `<!--` or `</3` swallows what follows. So a tag
is known by its form here. What a reference stands for, the standard library's table says.
"""

import html
import re
from html.entities import html5

# Elements that do not part words; those that part cells; other names of HTML part paragraphs, and names that it has not part words.
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
# Attributes of the standard that stand without a value. Any other word without one is prose: `if a<b and c>d`.
FLAGS = """
    allowfullscreen async autofocus autoplay checked compact controls default defer disabled formnovalidate hidden inert ismap
    itemscope loop multiple muted nomodule noshade novalidate nowrap open playsinline readonly required reversed selected
"""
HIDDEN = "script style template head svg annotation annotation-xml"  # what stands in them is not shown as text
WITHIN_A_LINE = (  # a browser shows nothing in their place and does not break the line
    "script",
    "style",
    "template",
    "svg",
    "annotation",
    "annotation-xml",
)
# What a start or an end of each stands for in the text.
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
_LEAF = r"\s*+<m(?:[ino]|text)>\s*+([^<>]{1,40}?)\s*+</m(?:[ino]|text)>\s*+"  # possessive: a long run of blanks takes linear time
_FORMULAS = [
    (re.compile(r"</?m(?:row|style)\b[^<>]*>", re.I), ""),
    (re.compile(rf"<mfrac>{_LEAF}{_LEAF}</mfrac>", re.I), r"<mn>\1/\2</mn>"),
    (re.compile(rf"<msup>{_LEAF}{_LEAF}</msup>", re.I), r"<mi>\1<sup>\2</sup></mi>"),
    (re.compile(rf"<msub>{_LEAF}{_LEAF}</msub>", re.I), r"<mi>\1\2</mi>"),
    (re.compile(rf"<msqrt>{_LEAF}</msqrt>", re.I), r"<mi>√\1</mi>"),
]
_POWERS = str.maketrans("0123456789-+−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺⁻")

_LEGACY = [name for name in html5 if not name.endswith(";")]  # those that HTML knows without a semicolon
_LETTERS = [name for name in _LEGACY if html5[name] >= "À" and html5[name].isalpha() and name.lower() not in ("eth", "thorn")]
_REFERENCE = re.compile(
    r"&(?:#[0-9]{1,7};?|#[xX][0-9a-fA-F]{1,6};?|[A-Za-z][A-Za-z0-9]{1,31};"
    rf"|(?:{'|'.join(_LETTERS)})(?!\w*=)|(?:{'|'.join(_LEGACY)})(?![a-z]|\w*=))"
)


def without_markup(text: str) -> str:
    """Tags, comments, declarations and what is not shown go; blocks and line breaks become line breaks.

    References stay: `&lt;b&gt;` is the text `<b>`.
    """
    if "<" not in text:
        return text
    text = _between(_between(text, "<!--", "-->", " "), "<?php", "?>", " ")
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
    """Write fractions, powers, indices and roots of MathML as a/b, x², x2 and √x, the innermost first.

    Without their tags they would be two numbers side by side.
    """
    for pattern, new in _FORMULAS * 2:
        text = pattern.sub(new, text)
    return text


def decoded(text: str) -> str:
    """Character references as the characters, three times over: feeds are escaped twice (`&amp;#8217;`).

    Without a semicolon only where HTML allows it, and not at the beginning of a longer word or in an address (`?a=1&copy=2`).
    """
    for _ in range(3 if "&" in text else 0):
        text = _REFERENCE.sub(lambda match: _character(match[0]), text)
    return text


def _character(reference: str) -> str:
    """An unknown name stays; a number that stands for nothing is a blank, since it may part words."""
    return html.unescape(reference) or " " if reference[1] == "#" else html5.get(reference[1:], reference)


def _between(text: str, start: str, end: str, new: str) -> str:
    """Each part from `start` to `end` replaced; one without an end stays."""
    kept, at = [], 0
    while (first := text.find(start, at)) >= 0 and (last := text.find(end, first + len(start))) >= 0:
        kept += [text[at:first], new]
        at = last + len(end)
    return "".join([*kept, text[at:]])


def _hidden(text: str, name: str) -> str:
    """Without the elements `name` that have an end, and what stands in them."""
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
    """What stands for a tag; the same where it is none: a name that HTML has not and that no end tag has, or one that compares."""
    name = match["name"].lower()
    sure = match["end"] or match["void"] or match["has"] or name in ended
    if sure or (name in STANDS_FOR and not _compares(match)):
        return STANDS_FOR.get(name, " ")
    return match[0]


def _compares(match: re.Match[str]) -> bool:
    """A name of one letter between words: `if a<b>c` has no bold c."""
    text, before, after = match.string, match.start() - 1, match.end()
    return len(match["name"]) == 1 and text[max(before, 0)].isalnum() and text[after : after + 1].isalnum()
