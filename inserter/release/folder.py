"""Write a model as a folder of the form that model hubs have."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from inserter.errors import InserterError, refused
from inserter.files import publish, read_json, write_json
from inserter.release.card import Facts, card
from inserter.release.code import auto_map, write_code

if TYPE_CHECKING:
    from models.processor import InserterProcessor

WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
# Settings of drawn answers, and a mark that lets transformers derive the settings again.
DROPPED = ("_from_model_config", "temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff")


def copied(source: Path, target: Path) -> None:
    """Copy the file `source` to `target`. The copy is writable."""
    shutil.copyfile(source, target)


def check_ours(folder: Path) -> None:
    """Raise InserterError unless `folder` has the configuration of one of our models.

    The configuration of another model would be read as one of ours with the defaults of its parts,
    which have 7 G parameters.
    """
    from models.configuration import InserterConfig

    try:
        kind = json.loads((folder / "config.json").read_bytes())["model_type"]
    except (FileNotFoundError, NotADirectoryError) as error:
        remedy = "Train a model with `inserter run`, or give --model DIR|models:/NAME@ALIAS"
        raise InserterError(f"no model at {folder}", remedy) from error
    except (ValueError, KeyError, TypeError) as error:
        raise InserterError(f"{folder / 'config.json'} is damaged", "Give the folder of another model") from error
    if kind != InserterConfig.model_type:
        problem = f"the model at {folder} is of the kind {str(kind)[:40]!r}, and none that inserter made"
        raise InserterError(problem, "Give the folder of another model")


def export(
    model: Path, target: Path, facts: Facts, *, max_new_tokens: int, place: Callable[[Path, Path], object] = copied
) -> list[str]:
    """Write the saved model in the folder `model` to the new folder `target`; return its files.

    max_new_tokens: longest answer, if `generate` is not told otherwise.
    place: puts a file of weights into the folder: `copied`, or `inserter.files.link`.

    Raises InserterError if `target` has content or cannot be written, or if there is no whole model
    of ours.
    """
    check_ours(model)
    weights = sorted(path for pattern in WEIGHTS for path in model.glob(pattern))
    if not weights:
        raise InserterError(f"{model} has no weights", "Give the folder of a model, which has config.json and safetensors")
    try:
        final = target.resolve()  # a link to an empty folder stays a link
        if final.exists() and not (final.is_dir() and not any(final.iterdir())):
            raise InserterError(f"{target} is there already", "Give the name of a new folder")
        draft = final.with_name(f".{final.name}.{os.getpid()}.tmp")
        draft.mkdir(parents=True)
        try:
            about, processor = _read(model, facts, max_new_tokens)
            for path in weights:
                place(path, draft / path.name)
            _write_settings(model, draft, processor, max_new_tokens=max_new_tokens)
            write_code(draft)
            (draft / "README.md").write_text(about, encoding="utf-8")
            publish(draft, final)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return sorted(path.name for path in final.iterdir())
    except OSError as error:
        raise refused(error) or InserterError(f"cannot write {target}: {error.strerror}", "Give a new folder") from error


def _read(model: Path, facts: Facts, max_new_tokens: int) -> "tuple[str, InserterProcessor]":
    """Return the card and the processor. Raises InserterError if a file of the model is damaged."""
    from models.processor import InserterProcessor

    try:
        return card(model, facts, max_new_tokens), InserterProcessor.from_pretrained(model)
    except InserterError:
        raise
    except Exception as error:  # of transformers, tokenizers or safetensors, each with errors of its own
        reason = " ".join(str(error).split())[:160]
        raise InserterError(f"{model} is no whole model of inserter ({reason})", "Give the folder of another model") from error


def _write_settings(model: Path, draft: Path, processor: "InserterProcessor", *, max_new_tokens: int) -> None:
    """Write the processor with its chat template, the configuration, and how answers are found."""
    from models.modeling import AUTO_CLASSES, InserterForConditionalGeneration

    def full(kind: type) -> str:
        return f"{kind.__module__}.{kind.__name__}"

    processor.save_pretrained(draft)
    its = auto_map({"AutoProcessor": full(type(processor))})
    path = draft / "processor_config.json"
    write_json(path, read_json(path) | {"auto_map": its})
    models = dict.fromkeys(AUTO_CLASSES, full(InserterForConditionalGeneration))
    config_class = full(InserterForConditionalGeneration.config_class)
    names = auto_map({"AutoConfig": config_class, **models}) | its
    write_json(draft / "config.json", read_json(model / "config.json") | {"auto_map": names})
    given = read_json(model / "generation_config.json") if (model / "generation_config.json").is_file() else {}
    kept = {key: value for key, value in given.items() if key not in DROPPED}
    greedy = {"do_sample": False, "max_new_tokens": max_new_tokens, "pad_token_id": processor.tokenizer.pad_token_id}
    write_json(draft / "generation_config.json", {"eos_token_id": processor.tokenizer.eos_token_id, **kept, **greedy})
