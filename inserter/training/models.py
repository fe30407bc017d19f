"""Load a speech LLM onto this machine's device: new from its parts, or as it was saved."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer

from inserter.assets import encoder_folder, lm_folder
from inserter.errors import InserterError
from inserter.params import Adapter, Assets, Trainable
from inserter.training.processes import full_state, rank, world
from inserter.training.processors import new_processor
from inserter.training.trainable import merge_lora, with_lora
from models import InserterForConditionalGeneration, InserterProcessor
from models.configuration import Recogniser
from models.ear import recogniser_settings

Pair = tuple[InserterForConditionalGeneration, InserterProcessor]
ADAPTER = "adapter.safetensors"


def placed(model: Any) -> InserterForConditionalGeneration:
    """Return `model`, moved to this process's GPU if there is one.

    The weights stay float32, and autocast does the rest.
    """
    return model.to(torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else "cpu")


def new_model(assets: Assets, adapter: Adapter, seed: int, *, delimiters: str = "tokens", languages: Sequence[str] = ()) -> Pair:
    """Return a new model of the configured LM and encoder, whose adapter is drawn from `seed`.

    delimiters: what stands around a clip. Only a caller that puts clips among text has to set it.
    languages: see `recogniser_settings`. Raise InserterError for an LM that cannot be trained here.
    """
    lm, encoder = str(lm_folder(assets.lm)), str(encoder_folder(assets.encoder))
    heard = {"recogniser": _recogniser(assets.encoder, encoder, languages)} if adapter.kind == "decoder" else {}
    processor = new_processor(assets, delimiters, recogniser=bool(heard))
    torch.manual_seed(seed)
    model = InserterForConditionalGeneration.from_parts(
        lm,
        encoder,
        processor.tokens,
        **adapter_settings(adapter),
        **heard,
        audio_token_id=processor.audio_token_id,
        document_start_id=processor.document_start_id,
    )
    if getattr(model.language_model, "_is_stateful", False):
        remedy = "Set assets.lm to an LM with attention layers only"
        raise InserterError(f"{assets.lm} has a recurrent state, which would leak between packed sequences", remedy)
    if heard:
        model.attach(processor)
    return placed(model), processor


def _recogniser(name: str, folder: str, languages: Sequence[str]) -> Recogniser:
    """Return the `recogniser_settings` of the encoder in `folder`.

    Raise InserterError for an encoder without the tokenizer or the settings of its decoder.
    """
    try:
        AutoTokenizer.from_pretrained(folder)
        return recogniser_settings(folder, languages)
    except (OSError, ValueError, AttributeError) as error:
        remedy = "Set assets.encoder to a complete Whisper that knows corpus.languages, or warmup.adapter.kind to soft_token"
        raise InserterError(f"{name} cannot transcribe speech ({' '.join(str(error).split())[:160]})", remedy) from error


def adapter_settings(adapter: Adapter) -> dict[str, Any]:
    """Return the section under the names of InserterConfig.

    `adapter` is the kind, and `adapter_KEY` is any other key.
    """
    return {"adapter" if key == "kind" else f"adapter_{key}": value for key, value in adapter.model_dump().items()}


def warmed_up(model: InserterForConditionalGeneration, processor: InserterProcessor, folder: Path) -> Pair:
    """Return the same pair, with the adapter that the stage `warmup` left in `folder`.

    Raise InserterError if the file is missing or of another adapter.
    """
    try:
        model.adapter.load_state_dict(load_file(folder / ADAPTER))
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InserterError(f"{folder / ADAPTER} is not the adapter of these parameters ({reason})", "Run `dvc repro`") from error
    return model, processor


def saved_model(folder: Path) -> Pair:
    """Return the model and the processor that `save_model` wrote to `folder`."""
    model = InserterForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    return placed(model), InserterProcessor.from_pretrained(folder)


def made_whole(
    model: InserterForConditionalGeneration, trainable: Trainable, fresh: Callable[[], InserterForConditionalGeneration]
) -> InserterForConditionalGeneration:
    """Return a trained model as an ordinary one, with LoRA merged and sharded weights gathered.

    Rank 0 gathers sharded weights into a model made by `fresh`. The other ranks get their own model
    back as it is. All ranks have to call this function.
    """
    if world() > 1:
        state = full_state(model)
        if rank() > 0:
            return model
        model = fresh()
        if trainable.lm == "lora":
            with_lora(model, trainable.lora)
        model.load_state_dict(state)
    merge_lora(model)
    return model


def save_model(model: InserterForConditionalGeneration, processor: InserterProcessor, folder: Path) -> None:
    """Save model and processor into a new folder, which replaces an older one.

    An older file may be hard-linked to what was published, and must not be written into.
    """
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def for_answers(model: InserterForConditionalGeneration, precision: str) -> InserterForConditionalGeneration:
    """Return `model`, changed for generation.

    At bf16 the LM's weights and its cache become bf16 too, not only its products. On two CPU cores
    64 answers took 6.6 s, against 9.2 s with fp32 weights under autocast. Measure losses before
    this call.
    """
    if precision == "bf16":
        model.language_model.to(torch.bfloat16)
    return model
