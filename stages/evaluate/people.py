"""Find recordings of people and their transcripts, in a folder or a file.

Nothing is decoded here. The forms that free corpora have are read:
- LibriSpeech's `*.trans.txt`,
- Sphinx's `transcription` with `fileids`,
- tables of records (JSON Lines, CSV, TSV, Parquet, with or without a header),
- `NAME.txt` beside the audio.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import pyarrow as pa

from inserter.errors import InserterError
from inserter.scoring import recordfiles
from inserter.scoring.recordfiles import Refused
from inserter.scoring.structures import instructions
from inserter.tables import ISO_639
from stages.evaluate import people_files
from stages.evaluate.people_files import AUDIO, TEXT, Embedded

SOUNDS = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".aiff", ".aif", ".au", ".caf", ".sph")
# Also audio, but refused as undecodable.
NOT_READ = (".m4a", ".mp4", ".aac", ".webm", ".wma", ".amr", ".raw", ".pcm")
TABLES = (".jsonl", ".json", ".csv", ".tsv", ".parquet")  # all but the last also as .gz and .zst
LANGUAGE = ("language", "lang", "locale")
FORMS = "Give a folder of audio with transcripts, or a JSON Lines, CSV, TSV or Parquet file"
# Marks of sentences, of noise, and of pronunciations, such as read(2).
_NOISE = re.compile(r"</?(?:s|sil)>|\+\+\w+\+\+|\[[A-Z_ ]+\]|<(?:unk|noise)>|(?<=\w)\(\d\)", re.I)


@dataclass(frozen=True)
class Recording:
    """One clip with its transcript."""

    id: str
    sound: Path | Embedded
    """The audio file, or its bytes in a Parquet file."""

    text: str
    """The transcript, without marks of noise."""

    language: str
    """ISO 639-1."""

    instruction_id_list: list[str] = field(default_factory=list)
    """IFEval's checks of an answer to the recording; empty if it has none."""

    kwargs: list[dict[str, object]] = field(default_factory=list)
    """The arguments of each check."""


@dataclass
class Found:
    """The recordings that can be used, and the refused ones."""

    recordings: list[Recording] = field(default_factory=list)
    """Those that have audio and a transcript."""

    refused: list[dict[str, str]] = field(default_factory=list)
    """{"id", "reason", "detail"} of the others."""


def find(path: str, language: str) -> Found:
    """Find the recordings below the folder `path`, or those that the file `path` names.

    language: ISO 639-1, for recordings that do not name their own.
    Raises InserterError if `path` does not exist or has no recording.
    """
    root = Path(path).expanduser()
    if not root.exists():
        raise InserterError(f"evaluate.recordings: {root} does not exist", FORMS)
    return _Search(root, language).run()


class _Search:
    """The search of one folder.

    Each audio file is taken once, by the first form that names it.
    """

    def __init__(self, root: Path, language: str) -> None:
        self.alone = root.is_file()
        self.root, self.language = (root.parent if self.alone else root), language
        self.named = [root] if self.alone else self.files
        self.found = Found()
        self.taken: set[Path | Embedded] = set()
        self.named_by_records: set[Path] = set()  # whether or not the record could be used

    @cached_property
    def files(self) -> list[Path]:
        everything = sorted(path for path in self.root.rglob("*") if path.is_file())
        return [path for path in everything if not any(part.startswith(".") for part in path.relative_to(self.root).parts)]

    @cached_property
    def by_name(self) -> dict[str, list[Path]]:
        """Return the audio files by name, and by name without ending."""
        names: dict[str, list[Path]] = {}
        for path in self.files:
            if path.suffix.lower() in (*SOUNDS, *NOT_READ):
                for name in (path.name, path.stem):
                    names.setdefault(name, []).append(path)
        return names

    @cached_property
    def texts(self) -> dict[str, list[Path]]:
        """Return the `.txt` files by name without ending."""
        names: dict[str, list[Path]] = {}
        for path in self.files:
            if path.suffix.lower() == ".txt":
                names.setdefault(path.stem, []).append(path)
        return names

    def run(self) -> Found:
        for file in self.named:
            if file.name.endswith(".trans.txt") or self._lists_names(file):
                self._lines(file, people_files.librispeech(file))
            elif file.name == "transcription" or file.suffix == ".transcription":
                self._lines(file, people_files.sphinx(file))
            elif re.sub(r"\.(?:gz|zst)$", "", file.name.lower()).endswith(TABLES):  # not .tar.gz
                self._table(file)
            elif self.alone:
                raise InserterError(f"evaluate.recordings: {file} has an unknown file format", FORMS)
        if not self.alone:
            self._beside()
        if not self.found.recordings and not self.found.refused:
            raise InserterError(f"evaluate.recordings: {self.root} has no audio with transcripts", FORMS)
        return self.found

    def _lists_names(self, file: Path) -> bool:
        """Return whether each line of a text is the name of an audio file and its transcript.

        The first line decides.
        """
        if file.suffix.lower() not in ("", ".txt") or file.stem in self.by_name:
            return False
        try:
            with file.open(encoding="utf-8-sig") as lines:
                name, text = people_files.split_line(lines.readline())
        except (OSError, ValueError):
            return False
        return bool(name and text and self._file(name, file.parent))

    def _lines(self, file: Path, lines: Iterable[tuple[str, str]]) -> None:
        try:
            for name, text in lines:
                self._add(name, {"audio": name, "text": text}, file)
        except (OSError, ValueError) as error:
            self._refuse(self._relative(file), Refused("unreadable file", str(error)))

    def _table(self, file: Path) -> None:
        """Add the recordings of a table.

        In a folder, a table that names no audio is no transcript. Such a table is skipped unless
        one of its rows cannot be read.
        """
        records: list[tuple[int, object]]
        try:
            column = people_files.sound_column(file)
            if people_files.headless(file):
                records = [(number, self._guessed(cells, file)) for number, cells in people_files.plain_rows(file)]
            else:
                records = [(number, people_files.value_of(raw)) for number, raw in recordfiles.raw_records(file)]
        except (InserterError, OSError, ValueError, csv.Error, pa.ArrowException) as error:
            if self.alone:
                raise InserterError(f"evaluate.recordings: {error}", FORMS) from error
            self._refuse(self._relative(file), Refused("unreadable file", str(error)))
            return
        if not self.alone and not column and not any(isinstance(value, str) or _names_audio(value) for _, value in records):
            return
        for number, value in records:
            self._add(
                f"{self._relative(file)}:{number}", value, file, embedded=Embedded(file, column, number - 1) if column else None
            )

    def _guessed(self, cells: list[str], file: Path) -> dict[str, str]:
        """Return a row without a header as a record, or {}.

        The first cell that names an audio file is the audio; the next cell is the text.
        """
        for cell, after in pairwise(cells):
            if cell and self._file(cell, file.parent):
                return {"audio": cell, "text": after}
        return {}

    def _beside(self) -> None:
        for path in self.files:
            if path.suffix.lower() in (*SOUNDS, *NOT_READ) and path.resolve() not in self.named_by_records:
                same = [path.with_suffix(".txt")] if path.with_suffix(".txt").is_file() else self.texts.get(path.stem, [])
                try:
                    said = same[0].read_text(encoding="utf-8-sig") if len(same) == 1 else ""
                except (OSError, ValueError) as error:
                    self._refuse(self._relative(path), Refused("no transcript", f"{same[0].name}: {error}"))
                    continue
                self._add(self._relative(path), {"audio": path.name, "text": said}, path)

    def _add(self, name: str, value: object, file: Path, *, embedded: Embedded | None = None) -> None:
        try:
            one = self._recording(name, value, file, embedded=embedded)
            key = one.sound.resolve() if isinstance(one.sound, Path) else one.sound
            if key in self.taken:
                raise Refused("duplicate", f"{name} names audio that another record has")
        except Refused as refused:
            self._refuse(name, refused)
            return
        self.taken.add(key)
        self.found.recordings.append(one)

    def _recording(self, name: str, value: object, file: Path, *, embedded: Embedded | None) -> Recording:
        if not isinstance(value, dict):
            raise Refused("unreadable record", value if isinstance(value, str) else "the record is not an object")
        value = {key.lower(): found for key, found in value.items() if isinstance(key, str)}
        audio = _audio_name(value)
        sound = embedded or (self._file(audio, file.parent) if audio else None)
        if sound is None:
            raise Refused("missing audio", audio or "the record names no audio")
        if isinstance(sound, Path):
            name = self._relative(sound)
            self.named_by_records.add(sound.resolve())
        if value.get("offset") not in (None, "", 0, "0", 0.0):
            raise Refused("part of a file", "the record has an offset: cut the audio file")
        text = _clean(next((value[key] for key in TEXT if isinstance(value.get(key), str) and value[key].strip()), ""))
        if not text:
            raise Refused("no transcript", name)
        ids, kwargs = instructions(value)
        checks = (ids, kwargs) if isinstance(ids, list) and ids and isinstance(kwargs, list) else ([], [])
        return Recording(name, sound, text, _language(value) or self.language, *checks)

    def _file(self, audio: str, folder: Path) -> Path | None:
        """Return the audio file that a record names, or None.

        The name is a path from the record's folder, from the root, or from a usual subfolder.
        Otherwise the only file of that name below the root is taken.
        """
        for base in (folder, self.root, folder / "clips", folder / "audio", folder / "wavs"):
            for ending in ("", *SOUNDS, *NOT_READ):
                if _is_file(path := base / (audio + ending)) and path.suffix.lower() in (*SOUNDS, *NOT_READ):
                    return path
        same = self.by_name.get(Path(audio.replace("\\", "/")).name, [])
        return same[0] if len(same) == 1 else None

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    def _refuse(self, name: str, refused: Refused) -> None:
        self.found.refused.append({"id": name, "reason": refused.reason, "detail": refused.detail})


def _names_audio(value: object) -> bool:
    return isinstance(value, dict) and any(key.lower() in AUDIO for key in value if isinstance(key, str))


def _audio_name(value: Mapping[str, object]) -> str | None:
    """Return the audio's name in a record, or None.

    The name may also stand in a struct as its path, as `datasets` writes it.
    """
    for key in AUDIO:
        found = value.get(key)
        found = found.get("path") if isinstance(found, dict) else found
        if isinstance(found, str) and found.strip():
            return found.strip()
    return None


def _language(value: Mapping[str, object]) -> str | None:
    said = next((found for key in LANGUAGE if isinstance(found := value.get(key), str)), "")
    code = re.split("[-_]", said.strip().lower())[0]
    return ISO_639.get(code, code) if re.fullmatch("[a-z]{2,3}", code) else None


def _clean(text: str) -> str:
    """Return a transcript without marks of noise and of sentences.

    Text in capitals alone, as in LibriSpeech, becomes lower case, since capitals would be read as
    letters.
    """
    text = " ".join(_NOISE.sub(" ", text).split())
    return text.lower() if text.isupper() else text


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # the name is too long or contains a null byte
        return False
