"""Wav files of servers that stream: they write the header before they know how long the sound will be."""

import struct


def mended(data: bytes) -> bytes:
    """`data` with the sizes of its RIFF and data chunks made true, where it is a wav file; as it is otherwise.

    Sizes of 0, 0xFFFFFFFF or more than there is are common in streamed answers, and decoders refuse them or give no samples.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return data
    at = 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        rest = len(data) - at - 8
        if name == b"data":
            if 0 < size <= rest:
                return data
            header = data[12:at] + b"data" + struct.pack("<I", rest)
            body = header + data[at + 8 :]
            return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body
        at += 8 + size + size % 2
    return data
