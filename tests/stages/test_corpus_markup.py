"""Text from the web: what was written stays, what marks it up goes, and no two words grow together."""

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.corpus.clean import paragraphs
from stages.corpus.markup import decoded, without_markup

BEFORE = "The people of the valley met at the old bridge and spoke of the harvest until the lamps were lit. "


def cleaned(text: str) -> str:
    (found,) = paragraphs(BEFORE + text, Counter(), Counter())
    return found.removeprefix(BEFORE)


@pytest.mark.parametrize(
    ("raw", "right"),
    [
        ("We can&#39;t go &#x2014; not yet &hellip; she said.", "We can't go — not yet … she said."),
        ("Bread &amp butter, &copy 1999, 20 &deg outside.", "Bread & butter, © 1999, 20 ° outside."),
        ("She wouldn&#8217t pay &pound20 to AT&ampT.", "She wouldn’t pay £20 to AT&T."),
        ("Z&uuml;rich, Z&uumlrich, caf&eacute;s &#199;a va.", "Zürich, Zürich, cafés Ça va."),
        ("The page said &amp;#8220;no&amp;#8221; and &amp;amp; twice.", "The page said “no” and & twice."),
        ("It&#146;s five&nbsp;miles &#150; or six.", "It’s five miles – or six."),
        ("late&#11;that night&#8232;they left.", "late that night they left."),
        ("Look at x?id=1&copy=2&lt=3&para12=4 there, R&D and B&Bs.", "Look at x?id=1&copy=2&lt=3&para12=4 there, R&D and B&Bs."),
        ("Salt &notes and &paragraph; stay as they are.", "Salt &notes and &paragraph; stay as they are."),
        ("He typed &lt;b&gt; and a &lt; b there.", "He typed <b> and a < b there."),
    ],
)
def test_references_are_the_characters_that_they_name(raw: str, right: str) -> None:
    assert cleaned(raw) == right


SIGNS = [
    "Where p<q and r>s hold, both are true.",
    "I <3 you, and 4 > 2, and a<b>c too.",
    "It fell for p<0.05 and n>30 alike.",
    "We go on while i<n; then j> is next.",
    "If a<b and c>d they cross.",
    "Use <<title>> at the top of it.",
    "Dear <John Smith>, come soon.",
    "A broken </3 heart is > none.",
    "So <!-- is a sign that never ends here.",
    "It is -> there <- or <= here.",
    "In a <script> that nobody closed they went on.",
]


@pytest.mark.parametrize("text", SIGNS)
def test_a_sign_is_no_tag_and_what_is_not_closed_swallows_nothing(text: str) -> None:
    assert without_markup(text) == text


@pytest.mark.parametrize(
    ("raw", "right"),
    [
        ("A <b>bold</b> step, un<i>believ</i>able, and a wo<wbr>rd.", "A bold step, unbelievable, and a word."),
        ("He said <a href=\"/x?a>b\" title='y'>so</a> again<br/>and again.", "He said so again and again."),
        ("One<td>two</td><td>three</td> are<BR>numbers.", "One two three are numbers."),
        ("It is <!-- not <b>this</b>\n\nat all --> seen <?xml version='1.0'?> here.", "It is seen here."),
        ("A 10<sup>5</sup> m<sup>2</sup> lake of H<sub>2</sub>O.", "A 10⁵ m² lake of H2O."),
        ('The <o:p>Office</o:p> <my-tag/> and <ref name="n">note</ref> end.', "The Office and note end."),
        ("It told<script>x()</script> us and <style>.a{}</style>them.", "It told us and them."),
        ("A <?php if ($a > 1) { echo '<p>'; } ?> word.", "A word."),
        ("Of <math><mfrac><mn>3</mn><mn>4</mn></mfrac><msup><mi>y</mi><mn>3</mn></msup></math> there.", "Of 3/4 y³ there."),
        ("Is <math><semantics><msqrt><mn>7</mn></msqrt><annotation>\\\\sqrt 7</annotation></semantics></math> so.", "Is √7 so."),
        ("<![CDATA[It is raw,]]> he said <input disabled> then.", "It is raw, he said then."),
    ],
)
def test_a_tag_goes_and_its_words_stay_apart_or_whole(raw: str, right: str) -> None:
    assert cleaned(raw) == right


def test_a_page_becomes_its_paragraphs() -> None:
    page = (
        "<!DOCTYPE html><html><head><title>T</title><style>p {x}</style></head><body onload='go()'><script>if (a<b) { x = '<p>'; }"
        "\n\ny();</script><p class=x hidden>The first one stood here.</p><div>The second one stood<br>there.</div><ul>"
        "<li>The third one, too.<li>And the last one as well.</ul></body></html>"
    )
    edited: Counter[str] = Counter()
    assert paragraphs(page, edited, Counter()) == [
        "The first one stood here.",
        "The second one stood there.",
        "The third one, too.",
        "And the last one as well.",
    ]
    assert edited["markup"] == 1, "a document"


@pytest.mark.parametrize("sign", [*"\u2028\u2029\x0b\x0c\x1c\x1d\x1e\x1f\x85", "\r", "\r\n", "\t", "\u3000", "\u202f"])
def test_a_separator_parts_words(sign: str) -> None:
    assert cleaned(f"They left{sign}before dawn came.") == "They left before dawn came."


def test_separators_make_lines_and_a_page_break_no_paragraph() -> None:
    assert len(paragraphs("The first one stood here.\u2029The second one stood there.", Counter(), Counter())) == 2
    assert cleaned("It went on to the\n\x0cnext page there.") == "It went on to the next page there."


@pytest.mark.parametrize(
    ("raw", "right"),
    [
        ("She said \x93no\x94 \x96 and it\x92s late\x85 we left.", "She said “no” – and it’s late… we left."),
        (
            "An in\u00adforma\u00ad\n  tion sheet for well-\nknown pre-\nand post-war homes.",
            "An information sheet for well-known pre- and post-war homes.",
        ),
        ("The ﬁrst oﬃce had a ﬂoor.", "The first office had a floor."),
        (
            "Auf\u200clage and non\u200djoined, \u2066right\u2069 \u200fmarks\u061c gone.",
            "Auflage and nonjoined, right marks gone.",
        ),
        ("It has 2**8 and __name__ and a_b_c and 5 * 3 * 2 there.", "It has 2**8 and __name__ and a_b_c and 5 * 3 * 2 there."),
        ("A **very** _long_ ***way*** of `code` that wasn`t short.", "A very long way of code that wasn't short."),
        ("Pay the sum of____for each one.", "Pay the sum of for each one."),
        ("Books on (music and drawing), [pause]then (laughter) none.", "Books on (music and drawing), then none."),
    ],
)
def test_letters_stay_and_words_stay_apart(raw: str, right: str) -> None:
    assert cleaned(raw) == right


@pytest.mark.parametrize(
    "text",
    [
        "می‌خواهم به خانه بروم و در آنجا بمانم.",
        "क्‍ष और न्‌ का भेद यहाँ लिखा है और सब लोग जानते हैं।",
        "The 👩‍🌾 waved to us all from the field.",
        "1968. That was the year in which the bridge was built.",
        "7. Juli war der Tag, an dem alle kamen.",
    ],
)
def test_right_text_stays_as_it_is(text: str) -> None:
    assert paragraphs(text, Counter(), Counter()) == [text]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(["!--", "-->", "amp", "lt;", "#8217", "script", *'<>&/b x="p;']), max_size=30))
def test_no_letter_of_prose_is_lost_however_the_signs_stand(pieces: list[str]) -> None:
    """Words around anything that looks like markup stay, in order."""
    text = f"alpha {''.join(pieces)} omega"
    if re.search(r"<!--.*-->|<script.*</script", text):
        return
    found = decoded(without_markup(text))
    assert found.startswith("alpha ") and found.endswith(" omega")
