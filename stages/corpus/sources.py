"""Stream raw documents from the sources: embedded text, local files and data sets of the hub."""

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from inserter.errors import InserterError
from inserter.files import endings
from inserter.params import Source
from inserter.prompts import generate
from inserter.sources import TEXT_FORMS, below, found, hub_rows, located, place, text_form
from stages.corpus.readers import RawDocument, Records, documents
from stages.corpus.recordings import transcripts

PROMPTS, PROMPTS_A_DOCUMENT = 4_000, 6  # about 25 words per prompt


def read(source: Source, skip: int = 0, written: Sequence[Path] = ()) -> Iterator[RawDocument]:
    """Yield the documents of `source` in a fixed order, without the first `skip`.

    At most `source.limit` documents count, skipped documents included.
    written: the files of a source that a language model wrote.
    Raises InserterError if there is no such source, or if no record has the column of the text.
    """
    records = Records(source)
    start, end = skip, source.limit
    if source.kind == "hub":
        raws, start, end = _hub(source, records, skip), 0, None if end is None else end - skip
    elif source.kind == "embedded" and source.path == "prompts":
        raws = _instructions()
    elif source.kind == "recorded":
        raws = transcripts(source)
    else:
        texts = [(path.name, path) for path in written] if source.kind == "lm" else files(source)
        raws = (raw for name, path in texts for raw in documents(name, path, records))
    yield from islice(raws, start, None if end is None else max(start, end))
    records.end()


def _instructions() -> Iterator[RawDocument]:
    """Yield documents of several instructions each, which show how people talk to a model.

    The instructions come from the world `train`, which fine-tuning draws from too.
    """
    prompts = generate("train", 0, count=PROMPTS)
    for first in range(0, PROMPTS, PROMPTS_A_DOCUMENT):
        group = prompts[first : first + PROMPTS_A_DOCUMENT]
        yield RawDocument(f"prompts-{first:05d}", "\n\n".join(prompt.prompt for prompt in group))


def files(source: Source) -> list[tuple[str, Path]]:
    """Return (place below the root, path) of an embedded or local source's files, sorted by path.

    Raises InserterError if there is no text, or a file that is not text.
    """
    if source.kind == "embedded":
        from inserter.assets import sotu_folder

        if source.path != "sotu":
            problem = f"source {source.name}: there is no embedded text {source.path!r}"
            raise InserterError(problem, "Set path to sotu or prompts")
        return [(path.name, path) for path in sorted(sotu_folder().glob("*.txt"))]
    root, texts = found(located(source.path), _form)
    if not texts:
        others = unread(source)
        problem = f"source {source.name}: no text at {source.path}{f' among {endings(others)}' if others else ''}"
        raise InserterError(problem, f"Give {TEXT_FORMS} files, a folder or a glob")
    for file in texts:
        if not _form(file):
            raise InserterError(f"source {source.name}: {file} has no readable text format", f"Give {TEXT_FORMS} files")
    return [(place(file, root), file) for file in texts]


def _form(file: Path) -> str:
    return text_form(os.fsencode(file.name))


def unread(source: Source) -> list[Path]:
    """Return the files below the folder of a local source whose endings are not those of text.

    Hidden files are left out.
    """
    folder = located(source.path)
    others = (file for file in below(folder) if not _form(file)) if source.kind == "local" and folder.is_dir() else ()
    return [file for file in others if not any(part.startswith(".") for part in file.relative_to(folder).parts)]


def _hub(source: Source, records: Records, skip: int = 0) -> Iterator[RawDocument]:
    """Stream the records of a data set of the hub, without the first `skip`."""
    records.found = skip > 0  # an earlier run read these rows, so it found the column
    for number, row in hub_rows(source.name, source.path, source.split, skip=skip):
        yield records.document(str(number), row)
