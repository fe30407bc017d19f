"""The streams that the bytes of a sound file are made of, each with a header whose lengths are true.

libsndfile stops at the length that it takes from a header. Whoever writes into a pipe does not know that length, and writes 0,
all ones, 2,000,000,000 or an estimate. So the lengths are mended here, and what follows is read to its end.
"""

import io
import math
import re
import struct

from models.sound import chunks, mpeg, ogg
from models.sound.faults import MAX_BYTES, cut_off

_FLAC = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")  # the magic number and the head of the block that always comes first
_ID3V1 = 128
_NIST = re.compile(rb"^(sample_count|channel_count|sample_n_bytes) -i (\d+)", re.MULTILINE)


def is_file(head: bytes) -> bool:
    """Return whether the first 8 bytes are those of a kind of file that `streams` knows."""
    marks = (*chunks.FORMS, b"OggS", b".snd", b"dns.", b"NIST_1A", b"fLaC", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2")
    return head.startswith(marks)


def streams(data: bytes) -> list[io.BytesIO]:
    """The sounds in `data`, one after the other, as files. Raises NoSound when it ends before its header says."""
    start = mpeg.after_id3(data)
    if data[:4] in chunks.FORMS:
        parts = chunks.mended(data)
    elif data[:4] == b"OggS":
        parts = ogg.links(data)
    elif data[:4] in (b".snd", b"dns."):
        parts = [_au(data)]
    elif data[:7] == b"NIST_1A":
        parts = [_nist(data)]
    elif data[start : start + 4] == b"fLaC":
        parts = _flac(data)
    else:
        return mpeg.mended(data, start)
    return [io.BytesIO(part) for part in parts]


def _flac(data: bytes) -> list[bytes]:
    """Each with 0, which is "unknown", in the 36 bits of its total of samples (RFC 9639, section 8.2)."""
    end = len(data) - _ID3V1 if data[-_ID3V1:].startswith(b"TAG") else len(data)
    marks = [found.start() for found in _FLAC.finditer(data)]
    parts = [bytearray(data[at:to]) for at, to in zip(marks, [*marks[1:], end], strict=True)]
    for part in parts:
        if len(part) >= 26:
            part[21] &= 0xF0
            part[22:26] = bytes(4)
    return [bytes(part) for part in parts] or [data]


def _au(data: bytes) -> bytes:
    """Its samples go to the end of the file; all ones mean that the length is not known."""
    order = ">" if data[:4] == b".snd" else "<"
    if len(data) < 12:
        return data
    start, size = struct.unpack_from(f"{order}II", data, 4)
    there = len(data) - start
    if there < size < MAX_BYTES:
        raise cut_off(there, size)
    return data if size == there else data[:8] + b"\xff" * 4 + data[12:]


def _nist(data: bytes) -> bytes:
    """SPHERE: a head of text, whose second line is its length in bytes, and samples to the end of the file."""
    start = int(data[8:16]) if data[8:16].strip().isdigit() else len(data)
    counts = {name: int(number) for name, number in _NIST.findall(data[:start])}
    size = math.prod(counts.values()) if b"sample_count" in counts else 0
    if len(data) - start < size < MAX_BYTES:
        raise cut_off(len(data) - start, size)
    return data
