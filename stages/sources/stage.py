"""The stage: write what each source holds, so that DVC runs what follows a change.

What is written has no times: a file that was only touched changes nothing.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from inserter.errors import InserterError
from inserter.files import read_json, write_json
from inserter.params import Params, SftSource, Source
from inserter.run.runner import output
from inserter.sources import ROW_FORMS, TEXT_FORMS, located, row_form, text_form
from stages.sources.look import Seen, look_at
from stages.sources.walk import Wanted

NAME = "sources"
Held = dict[str, Seen | dict[str, str | None]]


def main(params: Params) -> dict[str, object]:
    """Write data/sources/corpus.json and sft.json, and return the figures.

    The files have {source: what it holds}.
    """
    now = look(params)
    for section, sources in now.items():
        write_json(output(NAME) / f"{section}.json", sources)
    return {section: {name: _figures(held) for name, held in sources.items()} for section, sources in now.items()}


def look(params: Params) -> dict[str, Held]:
    """Return {"corpus" and "sft": {source: what it holds}}.

    Raises InserterError for a source that has no file.
    """
    return {
        "corpus": {source.name: _text(source) for source in params.corpus.sources},
        "sft": {source.name: _conversations(source) for source in params.sft.sources},
    }


def changes(params: Params) -> list[str]:
    """Return what has changed in the sources since the stage ran, a text per source.

    A source that has no file is a change: the stage reports it.
    """
    try:
        now = look(params)
    except InserterError as error:
        return [str(error)]
    return [text for section, sources in now.items() for text in _changes(section, sources)]


def _changes(section: str, now: Held) -> Iterator[str]:
    path = output(NAME) / f"{section}.json"
    before = read_json(path) if path.exists() else {}
    for name in sorted({*before, *now}):
        old, new = before.get(name, {}), now.get(name, {})
        if old != new:
            counts = [held.get("files", 0) for held in (old, new)]
            yield f"{section}.sources {name}: " + (
                "its content changed" if counts[0] == counts[1] else f"{counts[0]} files are {counts[1]} now"
            )


def _figures(held: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in held.items() if key != "sha256"}


def _text(source: Source) -> Seen | dict[str, str | None]:
    if source.kind == "hub":
        return _data_set(source)
    if source.kind == "lm" or (source.kind == "embedded" and source.path != "sotu"):
        return {}  # written by code and models, which are dependencies of the corpus
    if source.kind == "embedded":
        from inserter.assets import sotu_folder

        return look_at(source.name, sotu_folder(), lambda name: name.endswith(b".txt"))
    return _files(source, text_form, f"Give {TEXT_FORMS} files, a folder or a glob")


def _conversations(source: SftSource) -> Seen | dict[str, str | None]:
    if source.kind == "hub":
        return _data_set(source)
    return _files(source, row_form, f"Give {ROW_FORMS} files, a folder or a glob")


def _files(source: Source | SftSource, wanted: Wanted, remedy: str) -> Seen:
    seen = look_at(source.name, located(source.path), wanted)
    if not seen["files"] and not seen["faults"]:
        raise InserterError(f"source {source.name}: there is nothing to read at {source.path}", remedy)
    return seen


def _data_set(source: Source | SftSource) -> Seen | dict[str, str | None]:
    """Return the files of a local data set, or the revision of the last download from the hub.

    The hub is not asked. The revision is None if nothing was downloaded.
    """
    folder = located(source.path)
    if folder.is_dir():
        return look_at(source.name, folder, lambda name: not name.startswith(b"."))
    from huggingface_hub.constants import HF_HUB_CACHE

    name = source.path.partition(":")[0].replace("/", "--")
    head = Path(HF_HUB_CACHE, f"datasets--{name}", "refs", "main")
    return {"revision": head.read_text(encoding="utf-8").strip() if head.is_file() else None}
