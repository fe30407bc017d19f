"""Write a model as a folder of the form that model hubs have."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from inserter.errors import InserterError
from inserter.files import publish, read_json, write_json
from inserter.release.card import Facts, card
from inserter.release.code import auto_map, write_code

WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
# Settings of drawn answers, and a mark that lets transformers derive the settings again.
DROPPED = ("_from_model_config", "temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff")


def copied(source: Path, target: Path) -> None:
    """Copy the file `source` to `target`. The copy is writable."""
    shutil.copyfile(source, target)


def export(
    model: Path, target: Path, facts: Facts, *, max_new_tokens: int, place: Callable[[Path, Path], object] = copied
) -> list[str]:
    """Write the saved model in the folder `model` to the new folder `target`; return its files.

    max_new_tokens: longest answer, if `generate` is not told otherwise.
    place: puts a file of weights into the folder: `copied`, or `inserter.files.link`.

    Raises InserterError if `target` has content, or if there is no model.
    """
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise InserterError(f"{target} is there already", "Give the name of a new folder")
    weights = sorted(path for pattern in WEIGHTS for path in model.glob(pattern))
    if not weights or not (model / "config.json").is_file():
        raise InserterError(f"no model at {model}", "Give the folder of a model, which has config.json and safetensors")
    draft = target.absolute().with_name(f".{target.absolute().name}.{os.getpid()}.tmp")
    draft.mkdir(parents=True)
    try:
        for path in weights:
            place(path, draft / path.name)
        _write_settings(model, draft, max_new_tokens)
        write_code(draft)
        (draft / "README.md").write_text(card(model, facts, max_new_tokens), encoding="utf-8")
        publish(draft, target.absolute())
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return sorted(path.name for path in target.iterdir())


def _write_settings(model: Path, draft: Path, max_new_tokens: int) -> None:
    """Write the processor with its chat template, the configuration, and how answers are found."""
    from models.modeling import AUTO_CLASSES, InserterForConditionalGeneration
    from models.processor import InserterProcessor

    def full(kind: type) -> str:
        return f"{kind.__module__}.{kind.__name__}"

    processor = InserterProcessor.from_pretrained(model)
    processor.save_pretrained(draft)
    its = auto_map({"AutoProcessor": full(InserterProcessor)})
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
