"""Text: the corpus and the spans of it that become speech."""

from typing import Annotated, Literal

from pydantic import Field

from inserter.params.section import Distinct, Positive, Section, Seed, Share


class Source(Section):
    """One source of text (docs/CORPUS.md). kind: `embedded` (path: sotu or prompts), `local` (.txt, .jsonl, .parquet, text also
    .gz or .zst: a file, folder or glob), `hub` (org/name, or org/name:configuration; or a local folder laid out like a data set of
    the hub) or `lm` (written by a language model; path: a model as in `assets.lm`, or `lm` for that one).

    weight: its share of the words, relative to the others'; a source that runs out leaves its share to them. limit: no more raw
    documents than this are read.
    """

    name: str
    kind: Literal["embedded", "local", "hub", "lm"]
    path: str
    text_column: str = "text"
    split: str = "train"
    weight: Annotated[float, Field(gt=0)] = 1.0
    license: str = "unknown"
    limit: Positive | None = None


class NearDuplicates(Section):
    """Texts whose sets of runs of shingle_words words have a Jaccard similarity of threshold or more. permutations: of MinHash,
    which finds the pairs that are compared. No training document has threshold of the runs of a passage of a held-out one."""

    threshold: Annotated[float, Field(gt=0.0, le=1.0)]
    permutations: Positive
    shingle_words: Positive


class CorpusGate(Section):
    """min_words: the least share of corpus.words that is there. max_behind: how far a source that has not run out may be behind its
    share of the words, as a share of it."""

    min_words: Share
    max_behind: Share


class Lexicon(Section):
    """Lists of words that the sample seldom has, for the warm-up. words: how many; line_words: of them in a clip; look_at_words: so
    much usable text is read for them, or as much as there is."""

    words: Positive
    line_words: Positive
    look_at_words: Positive


class Corpus(Section):
    """words: how much text is kept. Documents are cut at paragraph ends to [min_words, max_words]. languages: ISO 639-1 codes of
    the documents that are kept. heldout_documents: for evaluation alone; heldout_share: of the raw documents, from which they
    are taken, so that what is held out is the same whatever `words` is. workers: processes, 0 for one a core; the result does not
    depend on it."""

    seed: Seed
    sources: Annotated[tuple[Source, ...], Field(min_length=1), Distinct]
    words: Positive
    min_words: Positive
    max_words: Positive
    heldout_documents: Positive
    heldout_share: Annotated[float, Field(gt=0.0, lt=1.0)]
    lexicon: Lexicon | None
    languages: Annotated[tuple[str, ...], Field(min_length=1), Distinct]
    near_duplicates: NearDuplicates
    decontaminate_ngram: Positive
    workers: Annotated[int, Field(ge=0)]
    gate: CorpusGate


class WordSpans(Section):
    share: Share
    min_words: Positive
    mean_words: Positive


class SentenceSpans(Section):
    share: Share
    max_words: Positive


class Segment(Section):
    """level is drawn a document by word_level (its share of the documents). Paper: word 30 %, sentence 40 % become speech."""

    seed: Seed
    word_level: Share
    word: WordSpans
    sentence: SentenceSpans
    context_words: Positive
    continuation_words: Positive
    workers: Annotated[int, Field(ge=0)]
