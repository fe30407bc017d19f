"""Audio: 16 kHz mono float32 in memory, FLAC in tar shards on disk, random access by byte offset.

A folder of shards: `*.tar`, each with `shard.json` (what it was made from) and then the clips, and beside them `shards.parquet`
(schema SHARDS) with the size and the SHA-256 of each.
"""

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from inserter.errors import InserterError
from inserter.files import atomic, read_batches, sha256
from inserter.tables import SHARDS
from models.sound import SAMPLE_RATE, NoSound, Sound, resample
from models.sound import read as read_sound

__all__ = [
    "SAMPLE_RATE",
    "check_shards",
    "decode",
    "flac",
    "quantise",
    "read",
    "read_clip",
    "read_clip_bytes",
    "read_note",
    "read_noted",
    "read_original",
    "resample",
    "stream_shard",
    "write_shard",
]
NOTE = "shard.json"
LIST = "shards.parquet"
AGAIN = "Delete it and run `dvc repro`"
ABSENT = "Run `dvc repro`, or `dvc pull` where there is a remote"


def read(source: str | Path | bytes) -> np.ndarray:
    """(samples,) float32 at 16 kHz from a file, or the bytes of one. Raises InserterError when it cannot be read whole."""
    return read_noted(source).wave


def read_noted(source: str | Path | bytes) -> Sound:
    """The same with what its owner should know, for example that a channel was left out."""
    try:
        return read_sound(source)
    except NoSound as error:
        name = "audio" if isinstance(source, bytes) else str(source)
        raise InserterError(f"{name} {error.detail}", error.remedy) from error


def quantise(wave: np.ndarray) -> np.ndarray:
    """int16 (samples,) of a float wave; samples beyond [-1, 1] are clipped."""
    return np.rint(np.clip(wave, -1.0, 1.0) * 32767).astype(np.int16)


def flac(wave: np.ndarray) -> bytes:
    """FLAC, 16 bit, 16 kHz, mono, of int16 samples, or of a float wave, whose samples beyond [-1, 1] are clipped."""
    buffer = io.BytesIO()
    samples = wave if wave.dtype == np.int16 else quantise(wave)
    soundfile.write(buffer, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def decode(data: bytes) -> np.ndarray:
    """int16 (samples,) of what `flac` wrote."""
    return soundfile.read(io.BytesIO(data), dtype="int16")[0]


def write_shard(
    path: Path | str, clips: Iterable[tuple[str, bytes]], note: dict[str, Any] | None = None
) -> dict[str, tuple[int, int]]:
    """Write (name, FLAC bytes) as `name.flac` members of a tar: {name: (offset, size)}. Same clips, same bytes.

    note: what the shard was made from; its first member, `shard.json`.
    """
    index: dict[str, tuple[int, int]] = {}

    def add(tar: tarfile.TarFile, name: str, data: bytes) -> int:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        offset = tar.offset + tarfile.BLOCKSIZE
        tar.addfile(member, io.BytesIO(data))
        return offset

    def write(temporary: Path) -> None:
        with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
            if note is not None:
                add(tar, NOTE, json.dumps(note, sort_keys=True).encode())
            for name, data in clips:
                index[name] = (add(tar, f"{name}.flac", data), len(data))

    atomic(path, write)
    return index


def stream_shard(path: Path | str) -> Iterator[tuple[str, bytes]]:
    """(name, FLAC bytes) of the members of a shard in their order, read once from start to end; nothing is unpacked.

    Raises InserterError that names the shard when it is absent, damaged or cut off.
    """
    path, members, wanted = Path(path), 0, None
    try:
        with tarfile.open(path, "r|") as tar:
            for member in tar:
                file = tar.extractfile(member)
                data = file.read() if file else b""
                if member.name == NOTE:
                    wanted = json.loads(data).get("members")
                    continue
                members += 1
                yield member.name.removesuffix(".flac"), data
    except FileNotFoundError as error:
        raise InserterError(f"shard {path} is not there", ABSENT) from error
    except (tarfile.TarError, ValueError, OSError) as error:
        raise InserterError(f"shard {path} is damaged ({error})", AGAIN) from error
    if wanted is not None and members != wanted:
        raise InserterError(f"shard {path} is truncated: {members} of {wanted} clips", AGAIN)


def read_note(path: Path | str) -> dict[str, Any]:
    """What a shard was made from (`shard.json`)."""
    with tarfile.open(path, "r|") as tar:
        member = tar.next()
        file = tar.extractfile(member) if member and member.name == NOTE else None
        return json.loads(file.read()) if file else {}


def check_shards(folder: Path | str) -> int:
    """Compare every shard of `folder` with `shards.parquet`: their number. About 1.4 GB a second.

    Raises InserterError that names the first shard that is absent, truncated or not what was written.
    """
    folder, count = Path(folder), 0
    for batch in read_batches(folder / LIST, SHARDS):
        for row in batch:
            path = folder / row["shard"]
            if not path.exists():
                raise InserterError(f"shard {path} is not there", ABSENT)
            if path.stat().st_size != row["size"]:
                raise InserterError(f"shard {path} is truncated: {path.stat().st_size:,} of {row['size']:,} bytes", AGAIN)
            if sha256(path) != row["sha256"]:
                raise InserterError(f"shard {path} is damaged: its SHA-256 is not {row['sha256']}", AGAIN)
            count += 1
    return count


def read_clip(folder: Path | str, row: dict) -> np.ndarray:
    """(samples,) float32 at 16 kHz of the clip of a table row (`shard`, `offset`, `size`) in `folder`."""
    return read(read_clip_bytes(folder, row))


def read_original(folder: Path | str, row: dict) -> np.ndarray:
    """(samples,) float32 at 16 kHz of the speech as it was before its effect. Raises InserterError when it was not kept."""
    if not row["original_size"]:
        raise InserterError(f"the original of {row['utt_id']} was not kept", "Set synthesize.keep_originals and run `dvc repro`")
    return read(read_clip_bytes(folder, row | {"offset": row["original_offset"], "size": row["original_size"]}))


def read_clip_bytes(folder: Path | str, row: dict) -> bytes:
    path = Path(folder) / row["shard"]
    try:
        with path.open("rb") as file:
            file.seek(row["offset"])
            data = file.read(row["size"])
    except FileNotFoundError as error:
        raise InserterError(f"shard {path} is not there", ABSENT) from error
    if len(data) != row["size"]:
        raise InserterError(f"shard {path} is truncated", AGAIN)
    return data
