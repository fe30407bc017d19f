"""Write lists of words that are rare in the sample; the lists are spoken for the adapter alone.

A few hours of running speech consist mostly of common words. Of the tokens of held-out text, 9 %
never occur in 3 hours of speech, and 6 % never occur in 6 hours. But rare words carry what a
context tells about its continuation. A reader that skips the tokens that occur less than three
times in 3 hours loses half of what the context tells (docs/LOG.md). Lists of 9,000 words take 1.7
hours. Of the tokens of 58 contexts, 10.6 % were never heard without the lists, and 2.5 % with them.
"""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from inserter.params import Corpus
from inserter.seeds import rng
from inserter.tables import LEXICON, Document
from stages.corpus.choose import rows

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

HEARD_ENOUGH = 5  # occurrences in the sample, of which about two are spoken
LICENSE = "single words of the other sources"
# Raw documents that a held-out document is cut from do not count. Words in capitals are left out,
# because they are mostly abbreviations.
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


def lexicon(db: "DuckDBPyConnection", params: Corpus) -> Iterator[Document]:
    """Yield rows of DOCUMENTS with the most frequent words that the sample has fewer than 5 times.

    The words are in random order, `lexicon.line_words` per line.
    """
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
