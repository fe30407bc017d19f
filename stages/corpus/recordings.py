"""Read a source of recordings: the documents of a speaker are the transcripts of the recordings.

All that a speaker says is one raw document, so that no speaker is both held out and trained on.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from inserter.errors import InserterError
from inserter.files import write_jsonl
from inserter.params import Corpus, Source
from inserter.scoring.recordfiles import Refused, raw_records, value
from inserter.sources import beside
from inserter.tables import Speaker
from stages.corpus.choose import rows
from stages.corpus.readers import RawDocument

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FOLDER = "recorded"  # below data/corpus


@dataclass
class Spoken:
    """What a speaker said."""

    license: str
    language: str
    recordings: list[dict[str, str]] = field(default_factory=list)
    """`audio` and `text`."""


def transcripts(source: Source) -> Iterator[RawDocument]:
    """Yield what cannot be used with its reason, then one document per speaker, in order.

    Raises InserterError if the table cannot be read.
    """
    speakers, refused = _read(source)
    yield from refused
    for name, spoken in speakers.items():
        yield RawDocument(name, "\n\n".join(recording["text"] for recording in spoken.recordings))


def write_speakers(db: "DuckDBPyConnection", params: Corpus, folder: Path) -> None:
    """Write speakers.jsonl (rows of Speaker) and the tables of speakers with a chosen document."""
    made: list[Speaker] = []
    for number, source in enumerate(params.sources):
        if source.kind != "recorded":
            continue
        by_origin: dict[str, list[str]] = {}
        found = rows(db, "SELECT doc_id, origin FROM everything JOIN chosen USING (seq) WHERE source = ? ORDER BY position", number)
        for doc_id, origin in found:
            by_origin.setdefault(origin.removeprefix(f"{source.name}/"), []).append(doc_id)
        speakers, _ = _read(source)
        for name, documents in by_origin.items():
            spoken, table = speakers[name], f"{len(made):05d}.jsonl"
            write_jsonl(folder / FOLDER / table, spoken.recordings)
            made.append(
                {
                    "name": f"{source.name}-{name}",
                    "table": table,
                    "language": spoken.language,
                    "license": spoken.license,
                    "documents": documents,
                }
            )
    if made:
        write_jsonl(folder / FOLDER / "speakers.jsonl", made)


def _read(source: Source) -> tuple[dict[str, Spoken], list[RawDocument]]:
    """Return the speakers in order, and the rows that cannot be used."""
    path = Path(source.path).expanduser()
    speakers: dict[str, Spoken] = {}
    refused: list[RawDocument] = []
    for number, raw in raw_records(path):
        try:
            _add(speakers, value(raw), source)
        except Refused as error:
            refused.append(RawDocument(f"{path.name}:{number}", error=str(error)))
        except ValueError as error:
            refused.append(RawDocument(f"{path.name}:{number}", error=f"undecodable: {error}"))
    if not speakers:
        reason = refused[0].error if refused else "it has no rows"
        raise InserterError(
            f"source {source.name}: no row of {path} can be used ({reason})", "Give rows with the columns audio, text and speaker"
        )
    return speakers, refused


def _add(speakers: dict[str, Spoken], row: object, source: Source) -> None:
    """Add a recording to its speaker. Raises Refused."""
    if not isinstance(row, dict):
        raise Refused("undecodable", row if isinstance(row, str) else "not an object")
    audio, text, speaker = (_column(row, name) for name in ("audio", "text", "speaker"))
    path = beside(Path(source.path).expanduser(), audio)
    if not os.path.isfile(path):  # noqa: PTH113 (a name that is too long makes Path raise)
        raise Refused("no audio", f"{audio} is missing")
    license, language = (str(row.get(name) or default) for name, default in (("license", source.license), ("language", "en")))
    spoken = speakers.setdefault(speaker, Spoken(license, language))
    if (license, language) != (spoken.license, spoken.language):
        raise Refused(
            "another licence or language", f"{license}, {language}; the speaker's first row has {spoken.license}, {spoken.language}"
        )
    spoken.recordings.append({"audio": str(path), "text": " ".join(text.split())})


def _column(row: dict[str, object], name: str) -> str:
    found = row.get(name)
    if not isinstance(found, str | int) or not str(found).strip():
        raise Refused("no column", f"{name} is missing or empty")
    text = str(found).strip()
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Refused("undecodable", str(error)) from error
    return text
