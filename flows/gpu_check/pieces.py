"""Carry a folder in pieces of limited size, and put it together again."""

import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from io import RawIOBase
from pathlib import Path

from inserter.errors import InserterError
from inserter.files import publish, sha256, size_of, write_json

MIB = 2**20
MANIFEST = "manifest.json"


class _Split(RawIOBase):
    """Writes a stream to files piece-00, piece-01, ... of at most `most` bytes."""

    def __init__(self, folder: Path, most: int) -> None:
        self.folder, self.most = folder, most
        self.names: list[str] = []
        self.left = 0

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes") -> int:  # type: ignore[override]
        given = memoryview(data)
        while given:
            if not self.left:
                self.names.append(f"piece-{len(self.names):02d}")
                self.left = self.most
            taken, given = given[: self.left], given[self.left :]
            with (self.folder / self.names[-1]).open("ab") as file:
                file.write(taken)
            self.left -= len(taken)
        return len(data)


class _Joined(RawIOBase):
    """Reads files one after the other."""

    def __init__(self, files: list[Path]) -> None:
        self.chunks = self._read(files)
        self.rest = b""

    def _read(self, files: list[Path]) -> Iterator[bytes]:
        for path in files:
            with path.open("rb") as file:
                while chunk := file.read(MIB):
                    yield chunk

    def read(self, size: int = -1) -> bytes:
        while len(self.rest) < size and (chunk := next(self.chunks, b"")):
            self.rest += chunk
        given, self.rest = self.rest[:size], self.rest[size:]
        return given


def write_pieces(source: Path, target: Path, *, order: Callable[[str], object], most: int) -> list[str]:
    """Write the files of `source` to pieces in `target`, and return the pieces' names.

    most: bytes of a piece.
    order: the sort key of a file by its path. The first files can be used without the last pieces.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    files = sorted((str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()), key=lambda n: (order(n), n))
    split = _Split(target, most)
    with tarfile.open(fileobj=split, mode="w|", bufsize=MIB, dereference=True) as tar:
        for name in files:
            tar.add(source / name, name)
    pieces = [[name, sha256(target / name)] for name in split.names]
    write_json(target / MANIFEST, {"pieces": pieces, "files": {name: size_of(source / name) for name in files}})
    return split.names


def join_pieces(source: Path, target: Path) -> list[str]:
    """Put the folder `target` together from the pieces in `source`; return what is missing of it.

    Pieces are read up to the first that is absent. Raises InserterError for a damaged piece, and
    for a name that leads out of a folder.
    """
    try:
        manifest = json.loads((source / MANIFEST).read_text(encoding="utf-8"))
    except OSError as error:
        raise InserterError(f"{source} has no {MANIFEST}", "Give the folder that --pack wrote") from error
    sizes: dict[str, int] = manifest["files"]
    for name in (*sizes, *(name for name, _ in manifest["pieces"])):
        _check_inside(name)
    there = []
    for name, digest in manifest["pieces"]:
        if not (source / name).exists():
            break
        if sha256(source / name) != digest:
            raise InserterError(f"{source / name} is damaged", "Copy that piece again")
        there.append(source / name)
    new = target.with_name(f".{target.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        with tarfile.open(fileobj=_Joined(there), mode="r|", bufsize=MIB) as tar:
            for member in tar:
                _write(tar, member, new, sizes=sizes)
    except tarfile.ReadError:
        pass  # the pieces end within a file
    missing = [name for name, size in sizes.items() if not (new / name).exists() or size_of(new / name) != size]
    for name in missing:
        (new / name).unlink(missing_ok=True)
    publish(new, target)
    return missing


def _check_inside(name: str) -> None:
    """Raise InserterError for a path that is absolute or has `..`."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise InserterError(f"the bundle names {name}, which is not inside it", "Pack the bundle again")


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, *, sizes: dict[str, int]) -> None:
    """Write a file of `tar` below `folder`. Python before 3.11.4 has no filters of its own.

    sizes: the bytes of each file of the bundle. A file of another size is no file of the bundle: a
        tar of a few kB may say that a file has terabytes of zeros.
    """
    place = folder / member.name
    if not member.isfile() or sizes.get(member.name) != member.size or not place.resolve().is_relative_to(folder.resolve()):
        raise InserterError(f"the bundle holds {member.name}, which is no plain file of it", "Pack the bundle again")
    place.parent.mkdir(parents=True, exist_ok=True)
    content = tar.extractfile(member)
    assert content is not None
    with place.open("wb") as file:
        shutil.copyfileobj(content, file)
