"""Correct the lengths in files of named chunks: WAV (RIFF, RIFX, RF64, BW64), W64, AIFF and CAF."""

import struct
from dataclasses import dataclass

from models.sound.faults import MAX_BYTES, MAX_STREAMS, NoSound, cut_off, too_many


@dataclass(frozen=True)
class Form:
    """The layout of a format. A chunk has a name, a size and its bytes."""

    head: int
    """Bytes before the first chunk."""
    at: int
    """Offset of the file's size among these bytes; 0 if the file's size is not there."""
    size: struct.Struct
    """Layout of the size."""
    sound: bytes
    """Name of the chunk with the samples."""
    pad: int = 2
    """The bytes of a chunk are padded to a multiple of this number."""
    name: int = 4
    """Bytes of a chunk's name."""
    own: int = 0
    """How much the size of a chunk exceeds the number of its bytes."""

    def chunk(self, data: memoryview, at: int) -> tuple[bytes, int, int] | None:
        """Return what the chunk at `at` says, or None if its name and size do not fit in `data`.

        The result is the first 4 bytes of the chunk's name, the offset of the chunk's bytes, and
        the stated number of these bytes.
        """
        start = at + self.name + self.size.size
        if start > len(data):
            return None
        return bytes(data[at : at + 4]), start, self.size.unpack_from(data, at + self.name)[0] - self.own

    def after(self, start: int, size: int) -> int:
        """Return the offset behind a chunk whose `size` bytes begin at `start`."""
        return start + size + -size % self.pad

    def named(self, name: bytes) -> bool:
        """Return whether a chunk may have this name: printable ASCII, or any 16 bytes."""
        return self.name > 4 or (name.isascii() and name.decode("ascii").isprintable())


_RIFF, _IFF = Form(12, 4, struct.Struct("<I"), b"data"), Form(12, 4, struct.Struct(">I"), b"SSND")
_RIFX, _CAF = Form(12, 4, struct.Struct(">I"), b"data"), Form(8, 0, struct.Struct(">q"), b"data", pad=1)
_W64 = Form(40, 16, struct.Struct("<q"), b"data", pad=8, name=16, own=24)
FORMS = {b"RIFF": _RIFF, b"RF64": _RIFF, b"BW64": _RIFF, b"RIFX": _RIFX, b"FORM": _IFF, b"caff": _CAF, b"riff": _W64}
_WIDE = (b"RF64", b"BW64")  # formats whose 64-bit sizes are in the chunk ds64
_UNSET = 0xFFFFFFFF


def mended(data: bytes) -> list[bytes]:
    """Return `data` with the true size of its sound.

    Where more files were appended to the first, each is returned alone. Raises NoSound for more
    than MAX_STREAMS files.
    """
    parts: list[bytes] = []
    rest = memoryview(data)  # a slice of bytes would be a copy per file
    while rest:
        if len(parts) == MAX_STREAMS:
            raise too_many()
        part, rest = _first(rest)
        parts.append(data if len(part) == len(data) and isinstance(part, memoryview) else bytes(part))
    return parts


def _first(data: memoryview) -> tuple[memoryview | bytes, memoryview]:
    """Return the first file of `data` with the true size of its sound, and what follows it."""
    form = FORMS[bytes(data[:4])]
    at, wide = form.head, 0
    while found := form.chunk(data, at):
        name, start, size = found
        if name == b"ds64" and start + 16 <= len(data):
            wide = struct.unpack_from("<Q", data, start + 8)[0]
        if name == form.sound:
            said = wide if bytes(data[:4]) in _WIDE and size == _UNSET else size
            return _with_size(data, form, start, said=said)
        if size < 0:
            break
        at = form.after(start, size)
    return data, data[:0]


def _with_size(data: memoryview, form: Form, start: int, *, said: int) -> tuple[memoryview | bytes, memoryview]:
    there = len(data) - start
    if there < said < MAX_BYTES:
        raise cut_off(there, said)
    if 0 <= said <= there:
        for end in {form.after(start, said), start + said}:  # some writers do not pad
            behind = _behind(data, form, end)
            if behind is not None and (said or end < len(data)):
                # libsndfile reads a W64 to its last byte.
                return data[: start + said if form is _W64 else behind], data[behind:]
    if not there:
        raise NoSound("zero samples", "has no samples", "Give a file with sound in it")
    return _rewritten(data, form, start), data[:0]


def _behind(data: memoryview, form: Form, at: int) -> int | None:
    """Return the offset where the chunks from `at` on end, or None if these are no chunks.

    The chunks end at the end of the data, or where a second file starts.
    """
    while found := form.chunk(data, at):
        name, start, size = found
        if name == bytes(data[:4]):
            return at
        if not (form.named(name) and 0 <= size <= len(data) - start):
            return None
        at = form.after(start, size)
    return len(data)


def _rewritten(data: memoryview, form: Form, start: int) -> bytes:
    """Return `data` with sizes that count all bytes from `start` on as sound."""
    out = bytearray(data)
    form.size.pack_into(out, start - form.size.size, len(data) - start + form.own)
    if form.at:
        form.size.pack_into(out, form.at, len(data) - (0 if form.own else 8))
    if bytes(data[:4]) in _WIDE:  # becomes a plain WAV, whose sizes are not in another chunk
        out[:4] = b"RIFF"
        at = bytes(out[:start]).find(b"ds64")
        out[at : at + 4] = b"JUNK"
    return bytes(out)
