"""Words that the sample seldom has, in lists that are spoken for the adapter alone.

A few hours of running speech are mostly words that everyone knows: of held-out text 9 % are tokens that 3 hours do not have, 6 % of
those that 6 hours do not have. But a continuation is told by its rare words: a reader who skips the tokens that 3 hours have less
than three times loses half of what the context tells (docs/LOG.md). 9,000 words in lists take 1.7 hours: of 58 contexts
10.6 % of the tokens were never heard without them, 2.5 % with them.
"""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from inserter.params import Corpus
from inserter.seeds import rng
from inserter.tables import LEXICON
from stages.corpus.choose import rows
from stages.corpus.output import Row

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

HEARD_ENOUGH = 5  # times in the sample: about two of them are spoken
LICENSE = "single words of the other sources"
# Without the held-out documents, and the other parts of what they are cut from. Names in capitals are mostly abbreviations.
WORDS = r"""
WITH usable AS (SELECT seq FROM unique_texts ANTI JOIN near USING (draw) WHERE reason IS NULL),
     apart AS (SELECT DISTINCT origin FROM everything SEMI JOIN heldout USING (seq)),
     words AS (SELECT language, unnest(regexp_extract_all(text, '\p{Latin}[\p{Latin}''’-]*\p{Latin}')) AS word,
                      seq IN (SELECT seq FROM chosen) AS sampled
               FROM everything SEMI JOIN usable USING (seq) ANTI JOIN apart USING (origin))
SELECT word, language FROM words GROUP BY language, word
HAVING count(*) > 1 AND count(*) FILTER (WHERE sampled) < ? AND word <> upper(word)
ORDER BY count(*) DESC, word, language LIMIT ?
"""


def lexicon(db: "DuckDBPyConnection", params: Corpus) -> Iterator[Row]:
    """Rows of DOCUMENTS: the most frequent of the words that the sample has fewer than 5 times, in random order, some a line."""
    wanted = params.lexicon
    if wanted is None:
        return
    by_language: dict[str, list[str]] = {}
    for word, language in rows(db, WORDS, HEARD_ENOUGH, wanted.words):
        by_language.setdefault(language, []).append(word)
    number = 0
    for language in sorted(by_language):
        words = by_language[language]
        rng(params.seed, LEXICON, language).shuffle(words)
        left = iter(words)
        while document := list(islice(left, max(1, params.max_words // wanted.line_words) * wanted.line_words)):
            lines = [document[start : start + wanted.line_words] for start in range(0, len(document), wanted.line_words)]
            yield {
                "doc_id": f"{LEXICON}-{number:05d}",
                "source": LEXICON,
                "license": LICENSE,
                "weight": 0.0,
                "language": language,
                "split": LEXICON,
                "text": "\n".join(", ".join(line) + "." for line in lines),
                "n_words": len(document),
            }
            number += 1
