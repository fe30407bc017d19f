"""Split chained Ogg streams (RFC 3533), and correct last pages that do not say where sound ends."""

import struct

from models.sound.faults import cut_off

_HEAD = 27  # bytes of a page before its segment table
_FIRST, _LAST = 2, 4
_BEYOND = 1 << 40  # samples: a last page with this position cuts nothing off


def links(data: bytes) -> list[bytes]:
    """Return the chained streams (links) of `data`, in order.

    A link starts where a first page follows a page of another kind. libsndfile reads only one link.
    """
    found: list[list[bytes]] = []
    opening = False
    for page in _pages(data):
        first = bool(page[5] & _FIRST)
        if (first and not opening) or not found:
            found.append([])
        opening = first
        found[-1].append(page)
    return [b"".join([*pages[:-1], _ended(pages)]) for pages in found]


def _pages(data: bytes) -> list[bytes]:
    """Return all pages, without the bytes between them.

    Raises NoSound if the last page is incomplete.
    """
    pages, at = [], data.find(b"OggS")
    while at >= 0:
        table = data[at + _HEAD : at + _HEAD + data[at + 26]] if at + _HEAD <= len(data) else b""
        size = _HEAD + len(table) + sum(table)
        if at + size > len(data) or not table:
            raise cut_off(len(data) - at, max(size, len(data) - at + 1), "bytes of its last page")
        pages.append(data[at : at + size])
        at = data.find(b"OggS", at + size)
    return pages


def _ended(pages: list[bytes]) -> bytes:
    """Return the last page, marked as the last one.

    Where its position is absent or goes back, all sound of the page counts.
    """
    last = pages[-1]
    position = _position(last)
    before = max((_position(page) for page in pages[:-1]), default=0)
    if last[5] & _LAST and position >= before:
        return last
    out = bytearray(last)
    out[5] |= _LAST
    if position < before:
        struct.pack_into("<q", out, 6, max(before, 0) + _BEYOND)
    out[22:26] = bytes(4)
    struct.pack_into("<I", out, 22, _crc(out))
    return bytes(out)


def _position(page: bytes) -> int:
    return struct.unpack_from("<q", page, 6)[0]


def _table() -> list[int]:
    table = []
    for value in range(256):
        value <<= 24
        for _ in range(8):
            value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
        table.append(value & 0xFFFFFFFF)
    return table


_TABLE = _table()


def _crc(page: bytes | bytearray) -> int:
    """Return the checksum of Ogg: zlib's polynomial, but not reflected."""
    value = 0
    for byte in page:
        value = ((value << 8) & 0xFFFFFFFF) ^ _TABLE[(value >> 24) ^ byte]
    return value
