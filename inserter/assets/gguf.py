"""Convert a causal LM from a GGUF file to a Hugging Face folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def to_transformers(gguf: Path, target: Path) -> None:
    """Write the model, tokenizer and chat template of `gguf` to the folder `target`.

    The weights are dequantised and written as float32 safetensors.
    """
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedModel

    loaded: PreTrainedModel = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    # A model loaded from GGUF counts as quantised and refuses save_pretrained. A new model with the
    # same weights does not.
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


def _tokenizer(gguf: Path, length: int) -> "PreTrainedTokenizerBase":
    """Return the file's tokenizer, with its declared pre-tokenizer and `<|im_end|>` as end of turn.

    transformers drops GGUF's `pre = smollm`, which separates every digit and then applies GPT-2's
    pattern. Without that pre-tokenizer, runs of spaces before a digit are tokenised differently
    than in the model's training.
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
