"""Read the numbers of one language as `languages.yaml` says.

Text with digits is read in one of a few forms: a number with its sign, percent, unit or money; two
years; a time; an ordinal. Text that only resembles one of these forms (1.5 in German, 3.5.1, 5G,
3-2) stays as it is written, and the caller refuses it.
"""

from collections.abc import Iterable
from functools import lru_cache

import regex

from inserter.text.spoken.languages import LIMIT, cardinal, languages, ordinal

_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]"
_JOINED = rf"(?!{_UNSPACED})\w"  # a letter or digit that would form one word with the number
_START = rf"(?<![\d.,:/'\-]|{_JOINED}|\d )"
_UNIT = r"(?:[kKMGTmcµ]?(?:m|g|l|L|W|Wh|V|Hz|B|J|Pa)|ha|[kK]?cal|min|h|bar|dB|t|mi|bi|mln|mld|M[dnio]{1,2}|Mrd)[²³]?"
_END = rf"(?![.,:/'\-]\d|\.?[ºª]|-\p{{L}}|'\p{{L}}|{_JOINED}| ?{_UNIT}(?!\w)|²|³)"


def _any(words: Iterable[str]) -> str:
    return "|".join(map(regex.escape, sorted(words, key=len, reverse=True))) or "(?!)"


@lru_cache(maxsize=32)
def reader(language: str) -> "Reader":
    return Reader(language)


class Reader:
    """The reader of one language. `read` replaces what it can read.

    The text must have plain digits, blanks, ' and -.
    """

    def __init__(self, language: str) -> None:
        self.language, self.rules = language, languages()[language]
        r = self.rules
        signs = [sign for sign in r.names if not sign[0].isalpha() and sign[0] not in "%°℃"] + ["R$", "Rp", "CHF"]
        self.money = {*signs} & {*r.names}
        self.short = regex.compile(rf"(?<![\w.])(?:{_any(r.short)})(?!\w)")
        self.time = regex.compile(_START + (r.time or "(?!)"))
        self.ordinal = regex.compile(_START + (r.ordinal or "(?!)"))
        self.years = regex.compile(rf"{_START}(?P<first>[12]\d{{3}})[–-](?P<last>[12]\d{{3}}){_END}")
        whole = rf"\d{{1,3}}(?:(?P<gap>[' {regex.escape(r.group)}])\d{{3}})(?:(?P=gap)\d{{3}})*|\d+"
        suffix = r"'(?P<suffix>\p{Ll}+)" if r.suffix else "(?P<suffix>(?!))"
        self.number = regex.compile(
            rf"{_START}(?P<minus>(?<!\w)-)?(?:(?P<before>%|{_any(self.money)}) ?)?(?P<whole>{whole})"
            rf"(?:{regex.escape(r.decimal)}(?P<fraction>\d+))?"
            rf"(?: ?(?P<after>%|{_any(r.names)})(?![\p{{Latin}}\d²³/])|(?=(?P<month> (?:de )?(?:{_any(r.months)})\b))"
            rf"|{suffix})?{_END}"
        )

    def read(self, text: str) -> str:
        r = self.rules
        text = self.short.sub(lambda m: r.short[m[0]] + _stop(m), text)
        text = self.time.sub(self._time, text)
        text = self.ordinal.sub(self._ordinal, text)
        if r.to:
            text = self.years.sub(lambda m: f" {self._year(m['first'])} {r.to} {self._year(m['last'])} ", text)
        text = self.number.sub(self._number, text)
        return regex.sub(r"(?<=\s)&(?=\s)", r.and_, text) if r.and_ else text

    def _time(self, match: regex.Match[str]) -> str:
        hour, minute = int(match["hour"]), int(match["minute"] or 0)
        if hour > 24 or any(self._gendered(str(number)) for number in (hour, minute) if number):
            return str(match[0])
        said = self.rules.time_said.format(hour=cardinal(hour, self.language), minute=cardinal(minute, self.language))
        return said if minute else regex.sub(r"(?: e)? \S+$", "", said)

    def _ordinal(self, match: regex.Match[str]) -> str:
        value = int(match["n"])
        if not 0 < value <= self.rules.ordinal_to:
            return str(match[0])
        said = self.rules.ordinal_said.format(n=ordinal(value, self.language))
        return regex.sub(*self.rules.ordinal_her, said) if match.groupdict().get("her") else said

    def _year(self, digits: str) -> str:
        value, hundreds = int(digits), self.rules.hundreds
        if not hundreds or not 1100 <= value <= 1999:
            return cardinal(value, self.language)
        rest = cardinal(value % 100, self.language) if value % 100 else ""
        return cardinal(value // 100, self.language) + hundreds + rest

    def _gendered(self, digits: str) -> bool:
        return bool(self.rules.gendered and regex.fullmatch(self.rules.gendered, digits))

    def _number(self, match: regex.Match[str]) -> str:
        r, whole, fraction = self.rules, regex.sub(r"\D", "", match["whole"]), match["fraction"]
        signs = [sign for sign in (match["before"], match["after"]) if sign]
        if not self._readable(match, whole, signs):
            return str(match[0])
        said = cardinal(int(whole), self.language) if match["gap"] or fraction or len(whole) != 4 else self._year(whole)
        sign = signs[0] if signs else None
        name = r.names.get(sign or "", "")
        if name and not fraction and self._gendered(whole):
            for pattern, masculine in r.masculine:
                said = regex.sub(pattern, masculine, said)
        if fraction and sign in self.money and r.cents and len(fraction) == 2 and whole != "0":
            cents = cardinal(int(fraction), self.language)
            said = f"{said} {self._called(name, whole, '')}" + (f"{r.cents}{cents}" if int(fraction) else "")
        else:
            digits = [cardinal(int(digit), self.language) for digit in fraction or ""]
            said = r.blank.join([said, *([r.point] if fraction else []), *digits])
            said += r.blank + self._called(name, whole, fraction) if name else ""
        if sign == "%" and not name:
            said = f"{r.percent} {said}" if r.percent_first else f"{said}{r.blank}{r.percent}"
        said = f"{r.minus}{r.blank}{said}" if match["minus"] else said
        for pattern, amended in r.amended:
            said = regex.sub(pattern, amended, said)
        return f"{r.blank}{said}{match['suffix'] or ''}{r.blank}"

    def _readable(self, match: regex.Match[str], whole: str, signs: list[str]) -> bool:
        """Return whether the number has exactly one reading, and the reading is known."""
        r, value, fraction = self.rules, int(whole), match["fraction"]
        if (whole[0] == "0" and len(whole) > 1) or value >= LIMIT or len(signs) > 1:
            return False
        named, follows = bool(signs), regex.match(r"\s*\p{L}", match.string, pos=match.end())
        if r.ordinal_stop and len(whole) < 3 and not fraction and regex.match(r"\.\s+\p{L}", match.string, pos=match.end()):
            return False  # 3. Mann: the third, or the end of a sentence
        if r.million and value and value % 10**6 == 0 and (named or follows):
            return False  # un million d'euros
        if r.before_names_only and not named and not fraction:
            return False
        if fraction or not self._gendered(whole) or named or match["month"]:
            return True
        year = len(whole) == 4 and not match["gap"] and 1100 <= value <= 2099
        return year and (not r.year_after or not follows or bool(regex.search(r.year_after + "$", match.string[: match.start()])))

    def _called(self, name: str, whole: str, fraction: str | None) -> str:
        one, _, many = name.partition("/")
        single = int(whole) < 2 if self.rules.singular_below_two else whole == "1" and not fraction
        return one if single or not many else many


def _stop(match: regex.Match[str]) -> str:
    """Return the stop of an abbreviation at the end of the text, where it ends a sentence too."""
    return "." if match[0].endswith(".") and not match.string[match.end() :].strip() else ""
