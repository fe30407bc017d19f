"""Store audio clips: 16 kHz mono float32 in memory, FLAC in tar shards on disk.

Clips are read in any order by their byte offset. A folder of shards holds `*.tar` files and
`shards.parquet` (schema SHARDS), which lists the size and the SHA-256 of each tar. A tar is a shard
of WebDataset: all files of a clip stand together and have its name up to the first dot, and every
clip has the same files.
"""

import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from inserter.audio.stored import ABSENT, read_clip_bytes
from inserter.errors import InserterError
from inserter.files import atomic, read_batches, sha256
from inserter.tables import SHARDS, Described, InShard, Utterance
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
    "read_noted",
    "read_original",
    "resample",
    "stream_shard",
    "write_shard",
]
LIST = "shards.parquet"
SOUND = ".flac"
BLOCK = tarfile.BLOCKSIZE
EMPTY = bytes(BLOCK)  # the end of a tar
CHECKSUM = slice(148, 156)  # of a header: the sum of its bytes, with blanks in this place
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
    path: Path | str, clips: Iterable[tuple[str, bytes]], about: Mapping[str, Described] | None = None
) -> dict[str, tuple[int, int]]:
    """Write each (name, FLAC bytes) as `name.flac` to a tar and return {name: (offset, size)}.

    The same clips give the same bytes. about: what each clip is, by name. It is written beside the
    clip as `name.json`, and the text as written as `name.txt`. Raises ValueError if a name has a
    dot, where WebDataset would cut it.
    """
    index: dict[str, tuple[int, int]] = {}

    def add(tar: tarfile.TarFile, name: str, data: bytes) -> int:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        offset = tar.offset + BLOCK
        tar.addfile(member, io.BytesIO(data))
        return offset

    def write(temporary: Path) -> None:
        with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
            for name, data in clips:
                if "." in name:
                    raise ValueError(f"the name of a clip has a dot: {name}")
                index[name] = (add(tar, f"{name}.flac", data), len(data))
                if about is not None:
                    add(tar, f"{name}.json", _described(about[name]))
                    add(tar, f"{name}.txt", about[name]["written"].encode())

    atomic(path, write)
    return index


def _described(clip: Described) -> bytes:
    fields = Described.__annotations__
    return json.dumps({name: value for name, value in clip.items() if name in fields}, ensure_ascii=False).encode()


def stream_shard(path: Path | str) -> Iterator[tuple[str, bytes]]:
    """Yield (name, FLAC bytes) of each clip of a shard, in the order of the tar.

    The shard is read once from start to end, and nothing is unpacked to disk. Raises InserterError,
    which names the shard, when the shard is absent, damaged or truncated.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            for name, size in _members(file):
                if name.endswith(SOUND):
                    data = file.read(size)
                    if len(data) < size:
                        raise tarfile.ReadError("unexpected end of data")
                    yield name.removesuffix(SOUND), data
    except FileNotFoundError as error:
        raise InserterError(f"shard {path} is missing", ABSENT) from error
    except (tarfile.TarError, ValueError, OSError) as error:
        raise InserterError(f"shard {path} is damaged or truncated ({error})", AGAIN) from error


def _members(file: BinaryIO) -> Iterator[tuple[str, int]]:
    """Yield the name and the size of each member of a tar that `write_shard` wrote.

    Meanwhile `file` is at the first byte of the member. Raises tarfile.ReadError or ValueError when
    a header is not whole. `tarfile` itself takes three times as long per clip.
    """
    place = 0
    while (header := file.read(BLOCK)) != EMPTY:
        if len(header) < BLOCK or sum(header) - sum(header[CHECKSUM]) + 8 * ord(" ") != int(header[CHECKSUM].rstrip(b"\0 "), 8):
            raise tarfile.ReadError("unexpected end of data" if len(header) < BLOCK else "bad checksum")
        size = int(header[124:135], 8)
        yield header[:100].rstrip(b"\0").decode(), size
        place += BLOCK + size + -size % BLOCK
        file.seek(place)


def check_shards(folder: Path | str) -> int:
    """Compare every tar of `folder` with `shards.parquet` and return the number of tars.

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
    if row["original_shard"] is None:
        raise InserterError(
            f"the original of {row['utt_id']} was not kept", "Set synthesize.keep_originals to true and run `dvc repro`"
        )
    place: InShard = {"shard": row["original_shard"], "offset": row["original_offset"], "size": row["original_size"]}
    return read(read_clip_bytes(folder, place))
