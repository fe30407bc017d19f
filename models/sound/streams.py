"""Split the bytes of a sound file into streams whose headers state true lengths.

libsndfile stops at the length in a header. A program that writes into a pipe does not know the
length, and writes 0, all ones, 2,000,000,000 or an estimate. This module therefore corrects the
lengths, so that a stream is read to its end.
"""

import io
import math
import re
import struct

from models.sound.chunks import FORMS
from models.sound.chunks import mended as mended_chunks
from models.sound.faults import MAX_BYTES, MAX_STREAMS, cut_off, too_many
from models.sound.mpeg import after_id3
from models.sound.mpeg import mended as mended_mpeg
from models.sound.ogg import links

# The magic number and the header of the STREAMINFO block, which is always first.
_FLAC = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
_ID3V1 = 128  # bytes of an ID3v1 tag at the end of a file
_NIST = re.compile(rb"^(sample_count|channel_count|sample_n_bytes) -i (\d+)", re.MULTILINE)


def is_file(head: bytes) -> bool:
    """Return whether `head`, the first 8 bytes of a file, is of a format that `streams` knows."""
    marks = (*FORMS, b"OggS", b".snd", b"dns.", b"NIST_1A", b"fLaC", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2")
    return head.startswith(marks)


def streams(data: bytes) -> list[io.BytesIO]:
    """Return the sounds in `data` as files, in order.

    Raises NoSound if `data` ends before its header says, or has more than MAX_STREAMS sounds.
    """
    parts = _split(data)
    if len(parts) > MAX_STREAMS:  # each would cost its own decoder
        raise too_many()
    return parts


def _split(data: bytes) -> list[io.BytesIO]:
    start = after_id3(data)
    if data[:4] in FORMS:
        parts = mended_chunks(data)
    elif data[:4] == b"OggS":
        parts = links(data)
    elif data[:4] in (b".snd", b"dns."):
        parts = [_au(data)]
    elif data[:7] == b"NIST_1A":
        parts = [_nist(data)]
    elif data[start : start + 4] == b"fLaC":
        parts = _flac(data)
    else:
        return mended_mpeg(data, start)
    return [io.BytesIO(part) for part in parts]


def _flac(data: bytes) -> list[bytes]:
    """Return each stream with a total of 0 samples, which means unknown.

    The total has 36 bits (RFC 9639, section 8.2).
    """
    end = len(data) - _ID3V1 if data[-_ID3V1:].startswith(b"TAG") else len(data)
    marks = [found.start() for found in _FLAC.finditer(data)]
    parts = [bytearray(data[at:to]) for at, to in zip(marks, [*marks[1:], end], strict=True)]
    for part in parts:
        if len(part) >= 26:
            part[21] &= 0xF0
            part[22:26] = bytes(4)
    return [bytes(part) for part in parts] or [data]


def _au(data: bytes) -> bytes:
    """Return the file with a header that lets the samples run to the end of the file.

    A size of all ones means that the length is unknown. Raises NoSound if samples are missing.
    """
    order = ">" if data[:4] == b".snd" else "<"
    if len(data) < 12:
        return data
    start, size = struct.unpack_from(f"{order}II", data, 4)
    there = len(data) - start
    if there < size < MAX_BYTES:
        raise cut_off(there, size)
    return data if size == there else data[:8] + b"\xff" * 4 + data[12:]


def _nist(data: bytes) -> bytes:
    """Return a SPHERE file unchanged, or raise NoSound if samples are missing.

    SPHERE has a text header, whose second line is the length of the header in bytes. The samples
    follow to the end of the file.
    """
    start = int(data[8:16]) if data[8:16].strip().isdigit() else len(data)
    counts = {name: int(number) for name, number in _NIST.findall(data[:start])}
    size = math.prod(counts.values()) if b"sample_count" in counts else 0
    if len(data) - start < size < MAX_BYTES:
        raise cut_off(len(data) - start, size)
    return data
