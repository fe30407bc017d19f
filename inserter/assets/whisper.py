"""Convert a Whisper from CTranslate2's binary format to a Hugging Face folder.

The format (CTranslate2, `ModelSpec.save`, version 5 or 6) is little-endian. A string is a uint16
length that counts the closing zero, then the bytes. The file has, in this order:

- uint32 version, string specification, uint32 revision, uint32 number of variables;
- per variable: string name, uint8 rank, rank × uint32 shape, uint8 type, uint32 bytes, the data;
- aliases, which are not needed.
"""

import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from inserter.errors import InserterError

if TYPE_CHECKING:
    from transformers import WhisperConfig, WhisperTokenizer

_TYPES = [np.float32, np.int8, np.int16, np.int32, np.float16]


class _Reader:
    def __init__(self, data: memoryview) -> None:
        self.data, self.at = data, 0

    def number(self, code: str) -> int:
        (value,) = struct.unpack_from(f"<{code}", self.data, self.at)
        self.at += struct.calcsize(code)
        return value

    def string(self) -> str:
        size = self.number("H")
        self.at += size
        return bytes(self.data[self.at - size : self.at - 1]).decode()


def read_variables(path: Path) -> dict[str, np.ndarray]:
    """Return {name: array of its shape} of a CTranslate2 `model.bin`.

    Raises InserterError if the file is not such a model, or is cut short.
    """
    reader = _Reader(memoryview(path.read_bytes()))
    try:
        version, _specification, _revision = reader.number("I"), reader.string(), reader.number("I")
        if version not in (5, 6):
            raise ValueError(f"version {version}")
        variables = {}
        for _ in range(reader.number("I")):
            name, rank = reader.string(), reader.number("B")
            shape = [reader.number("I") for _ in range(rank)]
            kind, size = _TYPES[reader.number("B")], reader.number("I")
            count = size // np.dtype(kind).itemsize
            array = np.frombuffer(reader.data, kind, count, reader.at)
            variables[name] = array.reshape(shape) if int(np.prod(shape)) == count else array
            reader.at += size
    except (ValueError, IndexError, struct.error, UnicodeDecodeError) as error:
        raise InserterError(f"{path} is not a complete CTranslate2 model ({error})", "Download the file again") from error
    return variables


def to_transformers(source: Path, target: Path) -> None:
    """Write the Whisper of a CTranslate2 folder as a Hugging Face folder.

    The source has model.bin, config.json and tokenizer.json. The target has float32 safetensors, a
    feature extractor, a tokenizer, and a generation configuration with the suppressed tokens.
    """
    import torch
    from transformers import (
        GenerationConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperTokenizer,
    )

    variables = read_variables(source / "model.bin")
    tokenizer = WhisperTokenizer.from_pretrained(source)
    config = _config(variables, tokenizer)
    with torch.device("meta"):
        model = WhisperForConditionalGeneration(config)
    state = {name: torch.from_numpy(array.astype(np.float32)) for name, array in _state(variables, config).items()}
    state["proj_out.weight"] = state["model.decoder.embed_tokens.weight"]
    model.load_state_dict(state, assign=True)
    model.tie_weights()
    settings = json.loads((source / "config.json").read_text(encoding="utf-8"))
    model.generation_config = GenerationConfig(**_generation(settings, tokenizer, config))
    model.save_pretrained(target)
    WhisperFeatureExtractor(feature_size=config.num_mel_bins).save_pretrained(target)
    tokenizer.save_pretrained(target)


class Settings(TypedDict):
    """The converted model's config.json, as far as it is read."""

    suppress_ids: list[int]
    suppress_ids_begin: list[int]
    alignment_heads: list[list[int]]
    lang_ids: list[int]
    """Of a multilingual model."""


def _config(variables: dict[str, np.ndarray], tokenizer: Any) -> "WhisperConfig":
    """Return the configuration, from the weights' shapes and the ids of the special tokens."""
    from transformers import WhisperConfig

    width, mels, _ = variables["encoder/conv1/weight"].shape
    start, end = tokenizer.convert_tokens_to_ids("<|startoftranscript|>"), tokenizer.eos_token_id

    def layers(side: str) -> int:
        return 1 + max(int(n.split("/")[1][6:]) for n in variables if n.startswith(f"{side}/layer_") and n[len(side) + 7].isdigit())

    def heads(side: str) -> int:
        return int(variables[f"{side}/num_heads"].reshape(-1)[0])

    return WhisperConfig(
        vocab_size=len(variables["decoder/embeddings/weight"]),
        num_mel_bins=mels,
        d_model=width,
        encoder_layers=layers("encoder"),
        decoder_layers=layers("decoder"),
        encoder_attention_heads=heads("encoder"),
        decoder_attention_heads=heads("decoder"),
        encoder_ffn_dim=len(variables["encoder/layer_0/ffn/linear_0/bias"]),
        decoder_ffn_dim=len(variables["decoder/layer_0/ffn/linear_0/bias"]),
        max_source_positions=len(variables["encoder/position_encodings/encodings"]),
        max_target_positions=len(variables["decoder/position_encodings/encodings"]),
        decoder_start_token_id=start,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        dtype="float32",
    )


def _state(variables: dict[str, np.ndarray], config: "WhisperConfig") -> dict[str, np.ndarray]:
    """Return the variables under transformers' names, with the fused projections split."""
    state: dict[str, np.ndarray] = {}

    def copy(theirs: str, ours: str) -> None:
        for suffix, name in (("weight", "weight"), ("bias", "bias"), ("gamma", "weight"), ("beta", "bias")):
            if f"{theirs}/{suffix}" in variables:
                state[f"model.{ours}.{name}"] = variables[f"{theirs}/{suffix}"]

    def split(theirs: str, ours: str, names: str) -> None:
        """Split one fused projection into equal parts, each named by its letter.

        Whisper's k has no bias; CTranslate2 stores zeros for it.
        """
        for kind in ("weight", "bias"):
            for letter, part in zip(names, np.split(variables[f"{theirs}/{kind}"], len(names)), strict=True):
                if (letter, kind) != ("k", "bias"):
                    state[f"model.{ours}.{letter}_proj.{kind}"] = part

    for side, count in (("encoder", config.encoder_layers), ("decoder", config.decoder_layers)):
        state[f"model.{side}.embed_positions.weight"] = variables[f"{side}/position_encodings/encodings"]
        copy(f"{side}/layer_norm", f"{side}.layer_norm")
        for layer in range(count):
            theirs, ours = f"{side}/layer_{layer}", f"{side}.layers.{layer}"
            split(f"{theirs}/self_attention/linear_0", f"{ours}.self_attn", "qkv")
            copy(f"{theirs}/self_attention/linear_1", f"{ours}.self_attn.out_proj")
            copy(f"{theirs}/self_attention/layer_norm", f"{ours}.self_attn_layer_norm")
            copy(f"{theirs}/ffn/linear_0", f"{ours}.fc1")
            copy(f"{theirs}/ffn/linear_1", f"{ours}.fc2")
            copy(f"{theirs}/ffn/layer_norm", f"{ours}.final_layer_norm")
            if side == "decoder":
                copy(f"{theirs}/attention/linear_0", f"{ours}.encoder_attn.q_proj")
                split(f"{theirs}/attention/linear_1", f"{ours}.encoder_attn", "kv")
                copy(f"{theirs}/attention/linear_2", f"{ours}.encoder_attn.out_proj")
                copy(f"{theirs}/attention/layer_norm", f"{ours}.encoder_attn_layer_norm")
    copy("encoder/conv1", "encoder.conv1")
    copy("encoder/conv2", "encoder.conv2")
    copy("decoder/embeddings", "decoder.embed_tokens")
    return state


def _generation(settings: Settings, tokenizer: "WhisperTokenizer", config: "WhisperConfig") -> dict[str, object]:
    """Return what `generate` needs: suppressed tokens, languages and tasks."""
    multilingual = config.vocab_size >= 51_865  # the English vocabulary has 51,864
    ids = tokenizer.convert_tokens_to_ids
    values: dict[str, object] = {
        "suppress_tokens": settings["suppress_ids"],
        "begin_suppress_tokens": settings["suppress_ids_begin"],
        "alignment_heads": settings["alignment_heads"],
        "no_timestamps_token_id": ids("<|notimestamps|>"),
        "prev_sot_token_id": ids("<|startofprev|>"),
        "decoder_start_token_id": config.decoder_start_token_id,
        "bos_token_id": config.bos_token_id,
        "eos_token_id": config.eos_token_id,
        "pad_token_id": config.pad_token_id,
        "max_length": config.max_target_positions,
        "return_timestamps": False,
        "is_multilingual": multilingual,
    }
    if multilingual:
        tokens = dict(zip(tokenizer.convert_ids_to_tokens(settings["lang_ids"]), settings["lang_ids"], strict=True))
        values |= {
            "lang_to_id": tokens,
            "task_to_id": {task: ids(f"<|{task}|>") for task in ("transcribe", "translate")},
            "task": "transcribe",  # without a task in the prompt the decoder loops
        }
    return values
