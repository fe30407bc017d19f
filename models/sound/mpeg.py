"""Find the frames of MPEG audio (MP3), so that their number is known.

A stream of MPEG audio states no length. mpg123, with which libsndfile reads the stream, trusts the
tag in the first frame (Xing, Info). Without a tag, mpg123 estimates the length from the sizes of
the file and of the first frames. Up to three quarters of a file of variable bit rate are then lost.
"""

import io
import struct
from functools import lru_cache
from typing import NamedTuple

from models.sound.faults import MAX_BYTES, cut_off

# Hz, by the version in the header: 3 is version 1, 2 is version 2, and 0 is version 2.5.
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_KBITS = {
    (True, 1): tuple(range(32, 449, 32)),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}  # kbit/s by (whether this is version 1, layer), in the order of the header's four bits
_SYNC = 4  # frames in a row that prove MPEG audio
_SEARCH = 1 << 20  # bytes that are searched for the first frame
_FAR = 1 << 40  # bytes, more than any file has
# Bytes from a frame's start. The tag follows 9, 17 or 32 bytes of side information.
_TAG_WITHIN = 48


class _Kind(NamedTuple):
    """Properties that are the same throughout a stream. A change needs a new decoder."""

    version: int
    """As in the header: 3 is version 1, 2 is version 2, and 0 is version 2.5."""
    layer: int
    rate: int
    """Samples per second."""
    mono: bool


class _Frame(NamedTuple):
    start: int
    end: int
    kind: _Kind


@lru_cache(maxsize=4096)
def _head(head: bytes) -> tuple[int, _Kind] | None:
    """Return the size in bytes and the kind of a frame, from its first four bytes.

    None means that the four bytes begin no frame, or one of free format.
    """
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
    """Return the offset behind the ID3v2 tags that start at `at`."""
    while data[at : at + 3] == b"ID3" and len(data) >= at + 10:
        a, b, c, d = data[at + 6 : at + 10]
        at += 10 + (a << 21 | b << 14 | c << 7 | d) + (10 if data[at + 5] & 0x10 else 0)
    return at


def mended(data: bytes, start: int = 0) -> list[io.BytesIO]:
    """Return the streams of `data`, each to its last frame; `data` itself if it is no MPEG audio.

    Raises NoSound if the last frame is incomplete, or if the tag counts more frames and more bytes
    than there are.
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
    """Return the first offset from `at` on where frames follow one another.

    -1 means that no such offset is before `end`.
    """
    while (at := data.find(b"\xff", at, end)) >= 0:
        if _follow(data, at):
            return at
        at += 1
    return -1


def _follow(data: bytes, at: int) -> bool:
    """Return whether `_SYNC` frames start at `at`, or two or three that end the data."""
    for number in range(_SYNC):
        head = _head(data[at : at + 4])
        if head is None:
            return number > 1 and at == len(data)
        at += head[0]
    return True


def _counted(data: bytes, frames: list[_Frame]) -> io.BytesIO:
    """Return the frames alone, with their true number in the tag.

    The tag still states what the encoder put before and behind the sound.
    """
    whole = b"".join(data[one.start : one.end] for one in frames)
    head = whole[: min(_TAG_WITHIN, frames[0].end - frames[0].start)]
    at = max(head.find(b"Xing"), head.find(b"Info"))
    flags = struct.unpack_from(">I", whole, at + 4)[0] if at > 0 else 0
    if flags & 1:
        return io.BytesIO(_true_tag(whole, at, bool(flags & 2), frames=len(frames) - 1))
    silent = at > 0 or b"VBRI" in head  # a tag without the number of frames
    return _Unmeasured(whole[frames[0].end - frames[0].start :] if silent else whole)


def _true_tag(whole: bytes, at: int, sized: bool, *, frames: int) -> bytes:
    said, size = struct.unpack_from(">II", whole, at + 8)
    if sized and said > frames and len(whole) < size < MAX_BYTES:
        raise cut_off(frames, said, "frames")
    out = bytearray(whole)
    struct.pack_into(">I", out, at + 8, frames)
    if sized:
        struct.pack_into(">I", out, at + 12, len(whole))
    return bytes(out)


class _Unmeasured(io.BytesIO):
    """Bytes that report a far larger size than they have.

    mpg123 estimates the length from the size, and libsndfile stops at that estimate. With the
    larger size, the estimate is never too small.
    """

    _asked_for_end = False

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._asked_for_end = whence == io.SEEK_END and offset == 0
        return super().seek(offset, whence)

    def tell(self) -> int:
        return super().tell() + (_FAR if self._asked_for_end else 0)
