"""Files made of named chunks: WAV (RIFF, RIFX, RF64, BW64), W64, AIFF and CAF."""

import struct
from dataclasses import dataclass

from models.sound.faults import MAX_BYTES, NoSound, cut_off


@dataclass(frozen=True)
class Form:
    """head: bytes before the first chunk; at: where the file's size stands in it, or 0; sound: the name of the chunk with samples.

    A chunk has its name (`name` bytes), its `size` and its bytes. pad: it ends at a multiple of that; own: by how much its size
    is more than its bytes.
    """

    head: int
    at: int
    size: struct.Struct
    sound: bytes
    pad: int = 2
    name: int = 4
    own: int = 0

    def chunk(self, data: bytes, at: int) -> tuple[bytes, int, int] | None:
        """(name, where its bytes start, the size that it says), or None where no chunk can be."""
        start = at + self.name + self.size.size
        if start > len(data):
            return None
        return data[at : at + 4], start, self.size.unpack_from(data, at + self.name)[0] - self.own

    def after(self, start: int, size: int) -> int:
        return start + size + -size % self.pad

    def named(self, name: bytes) -> bool:
        """Whether a chunk may have that name: four letters, or 16 bytes of any kind."""
        return self.name > 4 or (name.isascii() and name.decode("ascii").isprintable())


_RIFF, _IFF = Form(12, 4, struct.Struct("<I"), b"data"), Form(12, 4, struct.Struct(">I"), b"SSND")
_RIFX, _CAF = Form(12, 4, struct.Struct(">I"), b"data"), Form(8, 0, struct.Struct(">q"), b"data", pad=1)
_W64 = Form(40, 16, struct.Struct("<q"), b"data", pad=8, name=16, own=24)
FORMS = {b"RIFF": _RIFF, b"RF64": _RIFF, b"BW64": _RIFF, b"RIFX": _RIFX, b"FORM": _IFF, b"caff": _CAF, b"riff": _W64}
_WIDE = (b"RF64", b"BW64")  # their sizes of 64 bits are in the chunk ds64
_UNSET = 0xFFFFFFFF


def mended(data: bytes) -> list[bytes]:
    """`data` with the size of its sound made true, and what stands behind it where a second file was appended."""
    form = FORMS[data[:4]]
    at, wide = form.head, 0
    while found := form.chunk(data, at):
        name, start, size = found
        if name == b"ds64" and start + 16 <= len(data):
            wide = struct.unpack_from("<Q", data, start + 8)[0]
        if name == form.sound:
            said = wide if data[:4] in _WIDE and size == _UNSET else size
            return _with_size(data, form, start, said)
        if size < 0:
            break
        at = form.after(start, size)
    return [data]


def _with_size(data: bytes, form: Form, start: int, said: int) -> list[bytes]:
    there = len(data) - start
    if there < said < MAX_BYTES:
        raise cut_off(there, said)
    if 0 <= said <= there:
        for end in {form.after(start, said), start + said}:  # some do not pad
            behind = _behind(data, form, end)
            if behind is not None and (said or end < len(data)):
                first = data[: start + said if form is _W64 else behind]  # libsndfile reads a W64 to its last byte
                return [first, *mended(data[behind:])] if behind < len(data) else [first]
    if not there:
        raise NoSound("zero samples", "has no samples", "Give a file with sound in it")
    return [_rewritten(data, form, start)]


def _behind(data: bytes, form: Form, at: int) -> int | None:
    """Where the chunks from `at` on end: at the end of the data, or where a second file starts. None: these are no chunks."""
    while found := form.chunk(data, at):
        name, start, size = found
        if name == data[:4]:
            return at
        if not (form.named(name) and 0 <= size <= len(data) - start):
            return None
        at = form.after(start, size)
    return len(data)


def _rewritten(data: bytes, form: Form, start: int) -> bytes:
    """All that follows `start` is sound."""
    out = bytearray(data)
    form.size.pack_into(out, start - form.size.size, len(data) - start + form.own)
    if form.at:
        form.size.pack_into(out, form.at, len(data) - (0 if form.own else 8))
    if data[:4] in _WIDE:  # a plain WAV, whose sizes are not in another chunk
        out[:4] = b"RIFF"
        at = bytes(out[:start]).find(b"ds64")
        out[at : at + 4] = b"JUNK"
    return bytes(out)
