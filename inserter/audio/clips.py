"""Store audio clips: 16 kHz mono float32 in memory, FLAC in tar shards on disk.

Clips are read in any order by their byte offset. A folder of shards holds `*.tar` files and
`shards.parquet` (schema SHARDS), which lists the size and the SHA-256 of each tar. The first member
of a tar is `shard.json`, which records what the shard was made from. The clips follow.
"""

import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import soundfile

from inserter.audio.stored import ABSENT, read_clip_bytes
from inserter.errors import InserterError
from inserter.files import atomic, read_batches, sha256
from inserter.tables import SHARDS, InShard, Utterance
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
AGAIN = "Delete that shard and run `dvc repro`"


def read(source: str | Path | bytes) -> np.ndarray:
    """Return float32 (samples,) at 16 kHz from a file, or from the bytes of a file.

    Raises InserterError when the sound cannot be read whole.
    """
    return read_noted(source).wave


def read_noted(source: str | Path | bytes) -> Sound:
    """Return the wave that `read` returns, with notes for its owner.

    A note says, for example, that a channel was left out. Raises InserterError as `read` does.
    """
    try:
        return read_sound(source)
    except NoSound as error:
        name = "audio" if isinstance(source, bytes) else str(source)
        raise InserterError(f"{name} {error.detail}", error.remedy) from error


def quantise(wave: np.ndarray) -> np.ndarray:
    """Return a float wave as int16 (samples,). Samples beyond [-1, 1] are clipped."""
    return np.rint(np.clip(wave, -1.0, 1.0) * 32767).astype(np.int16)


def flac(wave: np.ndarray) -> bytes:
    """Return int16 samples or a float wave as 16-bit mono FLAC at 16 kHz.

    Samples of a float wave beyond [-1, 1] are clipped.
    """
    buffer = io.BytesIO()
    samples = wave if wave.dtype == np.int16 else quantise(wave)
    soundfile.write(buffer, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def decode(data: bytes) -> np.ndarray:
    """Return the int16 (samples,) of bytes that `flac` returned."""
    return soundfile.read(io.BytesIO(data), dtype="int16")[0]


def write_shard(
    path: Path | str, clips: Iterable[tuple[str, bytes]], note: Mapping[str, object] | None = None
) -> dict[str, tuple[int, int]]:
    """Write each (name, FLAC bytes) as `name.flac` to a tar and return {name: (offset, size)}.

    The same clips give the same bytes. note: what the shard was made from; the tar's first member,
    `shard.json`.
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
    """Yield (name, FLAC bytes) of each clip of a shard, in the order of the tar.

    The shard is read once from start to end, and nothing is unpacked to disk. Raises InserterError,
    which names the shard, when the shard is absent, damaged or truncated.
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
        raise InserterError(f"shard {path} is missing", ABSENT) from error
    except (tarfile.TarError, ValueError, OSError) as error:
        raise InserterError(f"shard {path} is damaged ({error})", AGAIN) from error
    if wanted is not None and members != wanted:
        raise InserterError(f"shard {path} is truncated: {members} of {wanted} clips", AGAIN)


def read_note(path: Path | str) -> dict[str, object]:
    """Return `shard.json`, which records what a shard was made from; {} for a shard without it."""
    with tarfile.open(path, "r|") as tar:
        member = tar.next()
        file = tar.extractfile(member) if member and member.name == NOTE else None
        return json.loads(file.read()) if file else {}


def check_shards(folder: Path | str) -> int:
    """Compare every shard of `folder` with `shards.parquet` and return the number of shards.

    The check reads about 1.4 GB per second. Raises InserterError, which names the first shard that
    is absent, truncated or different from what was written.
    """
    folder, count = Path(folder), 0
    for batch in read_batches(folder / LIST, SHARDS):
        for row in batch:
            path = folder / row["shard"]
            if not path.exists():
                raise InserterError(f"shard {path} is missing", ABSENT)
            if path.stat().st_size != row["size"]:
                raise InserterError(f"shard {path} is truncated: {path.stat().st_size:,} of {row['size']:,} bytes", AGAIN)
            if sha256(path) != row["sha256"]:
                raise InserterError(f"shard {path} is damaged: its SHA-256 is not {row['sha256']}", AGAIN)
            count += 1
    return count


def read_clip(folder: Path | str, row: InShard) -> np.ndarray:
    """Return float32 (samples,) at 16 kHz of one clip in `folder`; `row` says where it is."""
    return read(read_clip_bytes(folder, row))


def read_original(folder: Path | str, row: Utterance) -> np.ndarray:
    """Return float32 (samples,) at 16 kHz of a clip's speech before its effect.

    Raises InserterError when this original was not kept.
    """
    if not row["original_size"]:
        raise InserterError(
            f"the original of {row['utt_id']} was not kept", "Set synthesize.keep_originals to true and run `dvc repro`"
        )
    return read(read_clip_bytes(folder, {"shard": row["shard"], "offset": row["original_offset"], "size": row["original_size"]}))
