"""MPEG audio (mp3): what its frames are, so that their number is known.

The stream has no length. mpg123, which libsndfile reads it with, believes the tag in the first frame (Xing, Info). Without one it
reckons from the size of the file and of the first frames, and up to three quarters of a file of variable bit rate are not read.
"""

import io
import struct
from functools import lru_cache
from typing import NamedTuple

from models.sound.faults import MAX_BYTES, cut_off

_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}  # by version: 1, 2, 2.5
_KBITS = {
    (True, 1): tuple(range(32, 449, 32)),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}  # by version 1 and layer, in the order of the header's four bits
_SYNC = 4  # frames in a row that make it certain that this is MPEG audio
_SEARCH = 1 << 20  # bytes before the first frame that are looked through
_FAR = 1 << 40
_TAG_WITHIN = 48  # bytes from a frame's start: the tag stands behind 9, 17 or 32 bytes of side information


class _Kind(NamedTuple):
    """What cannot change within a stream, without its decoder being opened anew."""

    version: int
    layer: int
    rate: int
    mono: bool


class _Frame(NamedTuple):
    start: int
    end: int
    kind: _Kind


@lru_cache(maxsize=4096)
def _head(head: bytes) -> tuple[int, _Kind] | None:
    """(bytes of the frame, its kind) from its first four bytes; None where they are none, or of a frame of free size."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer, bits, rate = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3), head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 4 or bits in (0, 15) or rate == 3:
        return None
    hertz, padding = _RATES[version][rate], head[2] >> 1 & 1
    rate_of_bits = 1000 * _KBITS[version == 3, layer][bits - 1]
    if layer == 1:
        size = (12 * rate_of_bits // hertz + padding) * 4
    else:
        size = (72 if layer == 3 and version != 3 else 144) * rate_of_bits // hertz + padding
    return size, _Kind(version, layer, hertz, head[3] >> 6 == 3)


def after_id3(data: bytes, at: int = 0) -> int:
    """Where the data goes on behind the ID3v2 tags that start at `at`."""
    while data[at : at + 3] == b"ID3" and len(data) >= at + 10:
        a, b, c, d = data[at + 6 : at + 10]
        at += 10 + (a << 21 | b << 14 | c << 7 | d) + (10 if data[at + 5] & 0x10 else 0)
    return at


def mended(data: bytes, start: int = 0) -> list[io.BytesIO]:
    """The streams of `data`, each read to its last frame; `data` itself where it is no MPEG audio.

    Raises NoSound when the last frame is not whole, or the tag counts more bytes than there are.
    """
    frames = _frames(data, start)
    runs: list[list[_Frame]] = []
    for frame in frames:
        if not runs or runs[-1][0].kind != frame.kind:
            runs.append([])
        runs[-1].append(frame)
    return [_counted(data, run) for run in runs] or [io.BytesIO(data)]


def _frames(data: bytes, at: int) -> list[_Frame]:
    frames: list[_Frame] = []
    at = _next(data, at, min(len(data), at + _SEARCH))
    while 0 <= at < len(data):
        head = _head(data[at : at + 4])
        if head is None:
            at = _next(data, after_id3(data, at), len(data))
            continue
        size, kind = head
        if at + size > len(data):
            raise cut_off(len(data) - at, size, "bytes of its last frame")
        frames.append(_Frame(at, at + size, kind))
        at += size
    return frames


def _next(data: bytes, at: int, end: int) -> int:
    """Return the first place from `at` on where frames follow one another; -1 if none starts before `end`."""
    while (at := data.find(b"\xff", at, end)) >= 0:
        if _follow(data, at):
            return at
        at += 1
    return -1


def _follow(data: bytes, at: int) -> bool:
    """Whether `_SYNC` frames start here, or fewer up to the end."""
    for number in range(_SYNC):
        head = _head(data[at : at + 4])
        if head is None:
            return number > 1 and at == len(data)
        at += head[0]
    return True


def _counted(data: bytes, frames: list[_Frame]) -> io.BytesIO:
    """The frames alone. A tag gets their true number, and still says what its encoder put before and behind the sound."""
    whole = b"".join(data[one.start : one.end] for one in frames)
    head = whole[: min(_TAG_WITHIN, frames[0].end - frames[0].start)]
    at = max(head.find(b"Xing"), head.find(b"Info"))
    flags = struct.unpack_from(">I", whole, at + 4)[0] if at > 0 else 0
    if flags & 1:
        return io.BytesIO(_true_tag(whole, at, bool(flags & 2), len(frames) - 1))
    silent = at > 0 or b"VBRI" in head  # a tag that does not count the frames
    return _Unmeasured(whole[frames[0].end - frames[0].start :] if silent else whole)


def _true_tag(whole: bytes, at: int, sized: bool, frames: int) -> bytes:
    said, size = struct.unpack_from(">II", whole, at + 8)
    if sized and said > frames and len(whole) < size < MAX_BYTES:
        raise cut_off(frames, said, "frames")
    out = bytearray(whole)
    struct.pack_into(">I", out, at + 8, frames)
    if sized:
        struct.pack_into(">I", out, at + 12, len(whole))
    return bytes(out)


class _Unmeasured(io.BytesIO):
    """Bytes that say that they are many more, so that the estimate of mpg123, where libsndfile stops, is never too small."""

    _asked_for_end = False

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._asked_for_end = whence == io.SEEK_END and offset == 0
        return super().seek(offset, whence)

    def tell(self) -> int:
        return super().tell() + (_FAR if self._asked_for_end else 0)
