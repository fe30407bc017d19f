"""Characters of any language: typography made plain, and what a voice reads of the rest."""

import re
import unicodedata

URL = r"(?:https?://|www\.)[^\s\"'<>)]*[A-Za-z0-9/]|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
SITE = r"\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|org|net|gov|edu|info|io)\b(?:/[\w./-]*\w)?"  # without www

_TYPOGRAPHY = str.maketrans(
    {"’": "'", "‘": "'", "ʼ": "'", "`": "'", "“": '"', "”": '"', "«": '"', "»": '"', "⁄": "/", "∶": ":"}
    | {"−": "-", "‐": "-", "‑": "-", "–": "—", "―": "—", "№": "No. ", "²": " squared", "³": " cubed"}
    | {"。": ". ", "、": ", ", "™": None, "®": None, "©": None}
)


def plain(text: str) -> str:
    """Typographic variants as plain characters; accents of Latin letters folded (é → e), as English lexicons have them."""
    text = re.sub(r"(?<=\d)\s?(?=[¼-¾⅐-⅞])", " and ", text).translate(_TYPOGRAPHY)
    text = unicodedata.normalize("NFKD", text).translate(_TYPOGRAPHY)
    text = re.sub(r"(?<=[A-Za-z])[\u0300-\u036f]+", "", text)
    return unicodedata.normalize("NFC", decimals(text))


def decimals(text: str) -> str:
    """The decimal digits of every script as 0 to 9."""
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)


def _heard(character: str) -> str:
    if character in ".,;:?!'-0123456789" or character.isalpha() or unicodedata.category(character).startswith("M"):
        return character
    return " " if character.isspace() or character in "/_\\" else ""


def tidy(text: str) -> str:
    """One line: brackets as pauses, unknown characters dropped, no doubled punctuation, none at the start."""
    text = "".join(map(_heard, re.sub(r"[()\[\]{}]", ", ", text)))
    text = re.sub(r"(?<!\w)['-]+|['-]+(?!\w)(?<!s')", " ", text)  # an inner ' or -, and the ' of a plural, stay
    text = re.sub(r"\s+([.,;:?!])", r"\1", " ".join(text.split()))
    text = re.sub(r"[.,;:]*([?!])[.,;:?!]*|[.,;:]*(\.)[.,;:]*|[,;:]*([,;:])", lambda m: m[1] or m[2] or m[3], text)
    text = re.sub(r"([.,;:?!])(?=\w)", r"\1 ", text)
    return " ".join(text.split()).lstrip(".,;:?!- ")
