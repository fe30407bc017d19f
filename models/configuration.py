"""Configuration of the speech LLM."""

from typing import Any, TypedDict

from transformers import AutoConfig, PreTrainedConfig

AUDIO_BOS, AUDIO, AUDIO_EOS = "<|audio_bos|>", "<|audio|>", "<|audio_eos|>"
SPEECH_TOKENS = [AUDIO_BOS, AUDIO, AUDIO_EOS]
# The tokens that stand for a clip among text: the placeholder that the clip's positions replace,
# alone (`none`), or between two delimiters as in the paper (`tokens`).
SPANS = {"none": [AUDIO], "tokens": SPEECH_TOKENS}


class Recogniser(TypedDict, total=False):
    """Settings of Whisper's decoder (`models.ear.recogniser_settings`)."""

    prompt: list[int]
    end: int
    """The token that ends a text."""
    silence: int
    """The token that says that nobody speaks."""
    suppress: list[int]
    """Tokens that are never written."""
    suppress_first: list[int]
    """Tokens that are not written first."""
    alignment_heads: list[list[int]] | None
    """[layer, head] of each head that follows the sound."""
    languages: list[int]
    """Tokens of the languages to choose from, if there are several."""


class InserterConfig(PreTrainedConfig):
    """Settings of a Whisper-family encoder, an adapter and any causal LM.

    adapter: one of four.
        `pooling`: the encoder averages frames, and one layer projects them, as in the paper.
        `stacking`: one layer projects frames that are side by side.
        `soft_token`: CTC over the LM's vocabulary.
        `decoder`: the text that Whisper's decoder writes, and the decoder's states.
    adapter_stride: encoder frames (50 per second) per adapter frame. `decoder` has no such frames.
    adapter_hidden_size: width of the convolution blocks before the CTC head.
    adapter_layers: number of these convolution blocks.
    adapter_spelling: width of the vectors of tokens' letters at the CTC head; 0: none.
    adapter_top: number of tokens that are mixed into a soft token.
    recogniser: settings of Whisper's decoder.
    audio_token_id: the placeholder that speech replaces.
    document_start_id: the token that a plain document begins with.
    """

    model_type = "inserter"
    sub_configs = {"text_config": AutoConfig, "audio_config": AutoConfig}  # noqa: RUF012

    def __init__(
        self,
        text_config: Any = None,
        audio_config: Any = None,
        adapter: str = "soft_token",
        *,
        adapter_stride: int = 4,
        adapter_hidden_size: int = 512,
        adapter_layers: int = 2,
        adapter_spelling: int = 256,
        adapter_top: int = 4,
        recogniser: Recogniser | None = None,
        audio_token_id: int | None = None,
        document_start_id: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.text_config = _sub_config(text_config, "llama")
        self.audio_config = _sub_config(audio_config, "whisper")
        self.adapter = adapter
        self.adapter_stride = adapter_stride
        self.adapter_hidden_size = adapter_hidden_size
        self.adapter_layers = adapter_layers
        self.adapter_spelling = adapter_spelling
        self.adapter_top = adapter_top
        self.recogniser = recogniser
        self.audio_token_id = audio_token_id
        self.document_start_id = document_start_id
        kwargs.setdefault("tie_word_embeddings", False)  # the LM ties its own embeddings
        super().__init__(**kwargs)


def _sub_config(value: Any, default: str) -> Any:
    if isinstance(value, dict):
        return AutoConfig.for_model(**value)
    return value if value is not None else AutoConfig.for_model(default)
