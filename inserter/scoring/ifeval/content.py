"""Check what is said: keywords, language, placeholders, postscript, repetition, case, punctuation.

The rules are those of SpeechInstructBench's closed-ended part. That part has IFEval's 25
instruction types (arXiv 2311.07911), with changes for Chinese. Each check takes a response that is
not blank, and the arguments that `arguments.py` has read.
"""

import re
import string
from collections.abc import Callable

from inserter.scoring.ifeval.text import count_capitals, language_of

Relation = Callable[[float, float], bool]

CHINESE_PUNCTUATION = "，。！？；：“”‘’（）—【】《》〈〉、·"
NO_PUNCTUATION = str.maketrans("", "", string.punctuation + CHINESE_PUNCTUATION)
PLACEHOLDER = re.compile(r"[\[【].*?[\]】]")


def existence(response: str, keywords: list[re.Pattern[str]]) -> bool:
    """keywords:existence: every keyword is found, ignoring case, also inside a word.

    Source: IFEval's KeywordChecker.
    """
    return all(keyword.search(response) for keyword in keywords)


def frequency(response: str, keyword: re.Pattern[str], frequency: float, *, relation: Relation) -> bool:
    """keywords:frequency: the number of matches of the keyword fits the relation to `frequency`.

    Case is ignored, and a match may be inside a word.

    Source: IFEval's KeywordFrequencyChecker.
    """
    return relation(len(keyword.findall(response)), frequency)


def forbidden_words(response: str, forbidden_words: list[str]) -> bool:
    """keywords:forbidden_words: no forbidden word is found.

    A word is found as a whole word, ignoring case, or anywhere in its own case. The second rule
    finds a Chinese word, which has no boundaries around it.

    Source: SpeechInstructBench, which changes IFEval's ForbiddenWords.
    """
    return not any(word in response or re.search(rf"\b{re.escape(word)}\b", response, re.IGNORECASE) for word in forbidden_words)


def letter_frequency(response: str, letter: str, let_frequency: float, *, let_relation: Relation) -> bool:
    """keywords:letter_frequency: the letter's count fits the relation to `let_frequency`.

    The letter is counted in the lower-cased response.

    Source: IFEval's LetterFrequencyChecker.
    """
    return let_relation(response.lower().count(letter), let_frequency)


def response_language(response: str, language: frozenset[str]) -> bool:
    """language:response_language: langdetect's answer is the language.

    A text of which langdetect can say nothing passes.

    Source: IFEval's ResponseLanguageChecker.
    """
    found = language_of(response)
    return found is None or found in language


def number_placeholders(response: str, num_placeholders: float) -> bool:
    """detectable_content:number_placeholders: at least that many placeholders, each on one line.

    A placeholder is [text] or 【text】.

    Source: SpeechInstructBench, which changes IFEval's PlaceholderChecker.
    """
    return len(PLACEHOLDER.findall(response)) >= num_placeholders


def postscript(response: str, postscript_marker: re.Pattern[str]) -> bool:
    """detectable_content:postscript: PS, P.S., P.P.S. or the marker occurs, ignoring case.

    Source: SpeechInstructBench, which changes IFEval's PostscriptChecker.
    """
    return bool(postscript_marker.search(response.lower()))


def repeat_prompt(response: str, prompt_to_repeat: str) -> bool:
    """combination:repeat_prompt: the response starts with the prompt, ignoring case.

    Space around either is ignored too.

    Source: IFEval's RepeatPromptThenAnswer.
    """
    return response.strip().lower().startswith(prompt_to_repeat.strip().lower())


def end_checker(response: str, end_phrase: str) -> bool:
    """startend:end_checker: the response ends with the phrase, ignoring case and punctuation.

    The punctuation that is ignored is ASCII and Chinese.

    Source: SpeechInstructBench, which changes IFEval's EndChecker.
    """
    return _bare(response).endswith(_bare(end_phrase))


def _bare(text: str) -> str:
    return text.strip().lower().translate(NO_PUNCTUATION)


def capital_word_frequency(response: str, capital_frequency: float, capital_relation: Relation) -> bool:
    """change_case:capital_word_frequency: the number of tokens in capitals fits the relation.

    The relation compares the number with `capital_frequency`.

    Source: IFEval's CapitalWordFrequencyChecker.
    """
    return capital_relation(count_capitals(response), capital_frequency)


def english_capital(response: str) -> bool:
    """change_case:english_capital: all letters are capitals, and langdetect says English.

    A text of which langdetect can say nothing counts as English.

    Source: IFEval's CapitalLettersEnglishChecker.
    """
    return response.isupper() and language_of(response) in ("en", None)


def english_lowercase(response: str) -> bool:
    """change_case:english_lowercase: no letter is a capital, and langdetect says English.

    A text of which langdetect can say nothing counts as English.

    Source: IFEval's LowercaseLettersEnglishChecker.
    """
    return response.islower() and language_of(response) in ("en", None)


def no_comma(response: str) -> bool:
    """punctuation:no_comma: the response has neither "," nor the Chinese "，".

    The enumeration comma "、" is allowed.

    Source: SpeechInstructBench, which changes IFEval's CommaChecker.
    """
    return "," not in response and "，" not in response


def quotation(response: str) -> bool:
    """startend:quotation: the whole response stands in double quotes, straight or curly.

    Source: SpeechInstructBench, which changes IFEval's QuotationChecker.
    """
    stripped = response.strip()
    return len(stripped) > 1 and stripped[0] in '"“' and stripped[-1] in '"”'
