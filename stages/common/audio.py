"""Audio: 16 kHz mono float32 in memory, FLAC in tar shards on disk, random access by byte offset."""

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile
import soxr

from stages.common.errors import InserterError
from stages.common.files import atomic

SAMPLE_RATE = 16_000


def resample(wave: np.ndarray, rate: int, to: int = SAMPLE_RATE) -> np.ndarray:
    """Mono float32 `wave` (samples,) from `rate` to `to` Hz."""
    wave = np.asarray(wave, dtype=np.float32)
    return wave if rate == to else soxr.resample(wave, rate, to, quality="HQ").astype(np.float32)


def read(source: str | Path | bytes) -> np.ndarray:
    """(samples,) float32 at 16 kHz from a file, or the bytes of one, in any format libsndfile reads.

    Raises InserterError when it is not audio or has no samples.
    """
    name = "audio bytes" if isinstance(source, bytes) else str(source)
    try:
        wave, rate = soundfile.read(io.BytesIO(source) if isinstance(source, bytes) else source, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError, TypeError) as error:
        raise InserterError(f"{name} cannot be decoded ({error})", "Give a wav, flac, ogg or mp3 file") from error
    if not len(wave):
        raise InserterError(f"{name} has no samples", "Give a file with sound in it")
    return resample(wave.mean(axis=1), rate)


def flac(wave: np.ndarray) -> bytes:
    """FLAC, 16 bit, 16 kHz, mono; samples beyond [-1, 1] are clipped."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(wave, -1.0, 1.0), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def write_shard(path: Path | str, clips: Iterable[tuple[str, bytes]]) -> dict[str, tuple[int, int]]:
    """Write (name, FLAC bytes) as `name.flac` members of a tar: {name: (offset, size)}. Same clips, same bytes."""
    index: dict[str, tuple[int, int]] = {}

    def write(temporary: Path) -> None:
        with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
            for name, data in clips:
                member = tarfile.TarInfo(f"{name}.flac")
                member.size = len(data)
                index[name] = (tar.offset + tarfile.BLOCKSIZE, len(data))
                tar.addfile(member, io.BytesIO(data))

    atomic(path, write)
    return index


def read_clip(folder: Path | str, row: dict) -> np.ndarray:
    """(samples,) float32 at 16 kHz of the clip of a table row (`shard`, `offset`, `size`) in `folder`."""
    return read(read_clip_bytes(folder, row))


def read_clip_bytes(folder: Path | str, row: dict) -> bytes:
    path = Path(folder) / row["shard"]
    try:
        with path.open("rb") as file:
            file.seek(row["offset"])
            data = file.read(row["size"])
    except FileNotFoundError as error:
        raise InserterError(f"shard {path} is not there", "Run `dvc repro`, or `dvc pull` where there is a remote") from error
    if len(data) != row["size"]:
        raise InserterError(f"shard {path} is truncated", "Delete it and run `dvc repro`")
    return data
