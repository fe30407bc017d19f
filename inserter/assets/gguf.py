"""A causal LM out of a GGUF file into a Hugging Face folder."""

from pathlib import Path
from typing import Any


def to_transformers(gguf: Path, target: Path) -> None:
    """Write model (float32 safetensors, dequantised), tokenizer and chat template of `gguf` to the folder `target`."""
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig

    loaded: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    # A model loaded from GGUF counts as quantised and refuses save_pretrained: the same weights in a fresh one do not.
    with torch.device("meta"):
        model = type(loaded)(config)
    model.load_state_dict(loaded.state_dict(), assign=True)
    model.tie_weights()
    tokenizer = _tokenizer(gguf, config.max_position_embeddings)
    ids = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    model.config.update(ids)
    model.generation_config = GenerationConfig(**ids)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def _tokenizer(gguf: Path, length: int) -> Any:
    """The file's tokenizer with `<|im_end|>` as the end of a turn, and its declared pre-tokenizer.

    transformers drops GGUF's `pre = smollm` (every digit apart, then GPT-2's pattern) and so tokenises runs of spaces
    before a digit otherwise than the model was trained with.
    """
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.eos_token = tokenizer.pad_token = "<|im_end|>"
    tokenizer.model_max_length = length
    return tokenizer
