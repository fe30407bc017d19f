"""The stage: sample documents, hold some out, write them and count them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from inserter.errors import InserterError
from inserter.files import endings, read_jsonl, write_jsonl, write_table
from inserter.params import Corpus, Params
from inserter.paths import DATA
from inserter.run.closure import deciding
from inserter.run.runner import output, say
from inserter.run.work import WorkFolder
from inserter.sources import TEXT_FORMS, stamps
from inserter.tables import DOCUMENTS
from stages.corpus.counts import Counts
from stages.corpus.lexicon import lexicon
from stages.corpus.output import write
from stages.corpus.overlap import Contamination
from stages.corpus.recordings import write_speakers
from stages.corpus.sample import Sample, sample
from stages.corpus.sources import files, unread
from stages.corpus.spool import quarantined


def main(params: Params) -> dict[str, object]:
    """Write data/corpus/documents-NNNNN.parquet and quarantine.jsonl, and return the metrics.

    quarantine.jsonl has what could not be read.
    """
    asked = DATA / "benchmark" / "prompts.jsonl"
    prompts = list(_prompts(asked))
    work = WorkFolder("corpus", _key(params), [asked, *deciding("stages.corpus")])
    for source in params.corpus.sources:
        if others := unread(source):
            say(f"corpus: source {source.name}: skipped {endings(others)}; readable endings are {TEXT_FORMS}")
    metrics = work.marker("documents")
    if metrics is None:
        metrics = _make(params, prompts, work)
        work.mark("documents", metrics)
    for attempt in work.root.glob("attempt-*"):
        shutil.rmtree(attempt)
    work.publish("documents", output("corpus"))
    return metrics


def _key(params: Params) -> dict[str, object]:
    """Return what decides the result, apart from the code.

    Local files count by size and modification time, because they may be large.
    """
    local = (source for source in params.corpus.sources if source.kind == "local")
    stamped = {source.name: stamps(files(source)) for source in local}
    recorded = (source for source in params.corpus.sources if source.kind == "recorded")
    stamped |= {source.name: stamps([(source.path, Path(source.path).expanduser())]) for source in recorded}
    lm = params.assets.lm if any(source.kind == "lm" for source in params.corpus.sources) else None
    return {"corpus": params.corpus.model_dump(mode="json", exclude={"workers", "gate"}), "lm": lm, "files": stamped}


def _prompts(path: Path) -> Iterator[str]:
    try:
        for line in read_jsonl(path):
            yield line["prompt"]
    except FileNotFoundError as error:
        raise InserterError(f"{path} is missing", "Run `dvc repro benchmark`") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InserterError(
            f"{path} has a line without a prompt ({error})", "Delete that file and run `dvc repro benchmark`"
        ) from error


def _make(params: Params, prompts: list[str], work: WorkFolder) -> dict[str, object]:
    """Fill `work/documents` and return the metrics."""
    made = sample(params, prompts, work.root)
    if not made.choice.documents:
        raise _empty(made.counts)
    if made.choice.documents <= params.corpus.heldout_documents:
        raise _nothing_to_train_on(made, params.corpus)
    counts = write(made.db, params.corpus, work / "documents")
    write_speakers(made.db, params.corpus, work / "documents")
    lists = list(lexicon(made.db, params.corpus))
    made.db.close()
    if lists:
        # The name sorts after those of the other files, which have numbers.
        write_table(work / "documents/documents-lexicon.parquet", lists, DOCUMENTS)
    write_jsonl(work / "documents/quarantine.jsonl", quarantined(made.parts))
    metrics = _metrics(params.corpus, made, counts, contamination=Contamination(prompts, params.corpus.decontaminate_ngram))
    return {**metrics, "lexicon": {"documents": len(lists), "words": sum(row["n_words"] for row in lists)}}


def _empty(counts: Counts) -> InserterError:
    reasons = (counts.raw_dropped + counts.paragraphs_dropped + counts.dropped).most_common(5)
    why = ", ".join(f"{reason}: {count}" for reason, count in reasons) or "no text"
    return InserterError(
        f"the corpus is empty: none of {counts.raw['in']} raw documents was kept ({why})",
        "Check corpus.sources, corpus.languages and corpus.min_words in params.yaml",
    )


def _nothing_to_train_on(made: Sample, params: Corpus) -> InserterError:
    """Return the error for a corpus of which every document is held out.

    More words help if there is more text. Otherwise fewer documents than units must be held out,
    because then at least one unit is left.
    """
    choice = made.choice
    if not all(choice.exhausted):
        remedy = "Raise corpus.words"
    elif choice.units > 1:
        remedy = f"Set corpus.heldout_documents to {choice.units - 1} or fewer, lower corpus.min_words, or add text"
    else:
        remedy = "Lower corpus.min_words, or add text"
    repeats = f" ({choice.repeats} others repeat held-out text)" if choice.repeats else ""
    return InserterError(
        f"no document is left for training: {choice.heldout} of {params.heldout_documents} are held out{repeats}", remedy
    )


def _metrics(
    params: Corpus, made: Sample, written: dict[str, dict[str, dict[str, int]]], *, contamination: Contamination
) -> dict[str, object]:
    counts = made.counts
    sources = {
        source.name: {**written["sources"][source.name], "license": source.license, "weight": source.weight, "exhausted": exhausted}
        for source, exhausted in zip(params.sources, made.choice.exhausted, strict=True)
    }
    return {
        "raw_documents": {**_plain(counts.raw), "dropped": _plain(counts.raw_dropped)},
        "paragraphs": {
            **_plain(counts.paragraphs),
            "dropped": _plain(counts.paragraphs_dropped),
            "edited": _plain(counts.edited),
        },
        "documents": {**_plain(counts.documents), "dropped": _plain(counts.dropped)},
        "decontaminated": counts.dropped["decontaminated"],
        "prompts": {"looked_for": contamination.prompts - contamination.too_short, "too_short": contamination.too_short},
        "words": sum(made.choice.words),
        "sources": sources,
        "splits": written["splits"],
    }


def _plain(counts: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}
