"""Text and audio to the model's inputs: tokenizer with the speech tokens, log-mel features, chat template."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoProcessor, AutoTokenizer, BatchFeature, ProcessorMixin, WhisperFeatureExtractor

from models.configuration import AUDIO, AUDIO_BOS, AUDIO_EOS, SPEECH_TOKENS, InserterConfig

SAMPLE_RATE = 16_000
TAIL_SECONDS = 0.5  # silence after a clip: Whisper's last frames need somewhere to end
PLAIN = {"enable_thinking": False}  # what templates that begin with a chain of thought know, and others do not look at
SPAN = AUDIO_BOS + AUDIO + AUDIO_EOS  # nothing stands between these three, and no newline comes after


class InserterProcessor(ProcessorMixin):
    """`processor(text, audio)`: each `<|audio|>` of the texts takes one clip of `audio`, in order."""

    def __init__(self, feature_extractor: Any = None, tokenizer: Any = None, chat_template: str | None = None) -> None:
        super().__init__(feature_extractor, tokenizer, chat_template=chat_template)

    @classmethod
    def from_parts(cls, lm: str, encoder: str) -> "InserterProcessor":
        """From an LM's tokenizer and a Whisper model's feature extractor; the three speech tokens are added."""
        tokenizer = AutoTokenizer.from_pretrained(lm)
        tokenizer.add_special_tokens({"additional_special_tokens": SPEECH_TOKENS}, replace_extra_special_tokens=False)
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        extractor = WhisperFeatureExtractor.from_pretrained(encoder)
        return cls(extractor, tokenizer, chat_template=tokenizer.chat_template)

    @property
    def audio_token_id(self) -> int:
        return self.tokenizer.convert_tokens_to_ids(AUDIO)

    @property
    def tokens(self) -> list[str]:
        """How each token of the vocabulary is written; one that is a part of a letter as the sign for what cannot be shown."""
        return self.tokenizer.batch_decode([[number] for number in range(len(self.tokenizer))])

    @property
    def document_start_id(self) -> int:
        """`<|endoftext|>` where the tokenizer has it (it separates documents in pre-training), else BOS, else EOS."""
        tokenizer = self.tokenizer
        known = tokenizer.convert_tokens_to_ids("<|endoftext|>")  # an unknown token gives None, or another token's id
        if known is not None and tokenizer.convert_ids_to_tokens(known) == "<|endoftext|>":
            return known
        return tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id

    def features(self, waves: list[np.ndarray]) -> dict[str, Any]:
        """Clips of 16 kHz float32 -> input_features (rows, mels, frames), feature_lengths (rows,), clip_windows.

        Each clip is computed alone, so a batch does not change it; a clip longer than 30 s becomes several rows.
        """
        window = self.feature_extractor.n_samples
        rows: list[Tensor] = []
        windows: list[int] = []
        for wave in waves:
            wave = np.concatenate([wave, np.zeros(int(TAIL_SECONDS * SAMPLE_RATE), np.float32)])
            pieces = [wave[i : i + window] for i in range(0, len(wave), window)]
            rows += [self._mel(piece) for piece in pieces]
            windows.append(len(pieces))
        lengths = torch.tensor([row.shape[-1] for row in rows])
        features = torch.zeros(len(rows), rows[0].shape[0], int(lengths.max()))
        for i, row in enumerate(rows):
            features[i, :, : row.shape[-1]] = row
        return {"input_features": features, "feature_lengths": lengths, "clip_windows": windows}

    def _mel(self, wave: np.ndarray) -> Tensor:
        """(mels, frames), at 100 frames a second."""
        least = self.feature_extractor.n_fft + self.feature_extractor.hop_length  # the transform reflects half a window
        wave = np.pad(wave, (0, max(0, least - len(wave))))
        output = self.feature_extractor(
            wave, sampling_rate=SAMPLE_RATE, padding="do_not_pad", truncation=False, return_tensors="np"
        )
        return torch.from_numpy(np.asarray(output["input_features"][0], dtype=np.float32))

    def __call__(  # type: ignore[override]
        self,
        text: str | list[str],
        audio: list[np.ndarray] | np.ndarray | None = None,
        states: list[Tensor] | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        """Padded `input_ids` and `attention_mask`, and the features of `audio`, or `states` with `state_lengths`.

        states: (frames, width) a clip, what the encoder said of it. Raises ValueError for audio beside states, and for
        more or fewer clips than placeholders.
        """
        texts = [text] if isinstance(text, str) else text
        audio = [audio] if isinstance(audio, np.ndarray) else audio or []
        if audio and states:
            raise ValueError("give the clips of a batch either as audio or as encoder states")
        wanted, clips = sum(t.count(AUDIO) for t in texts), len(audio) or len(states or [])
        if wanted != clips:
            raise ValueError(f"{wanted} audio placeholders for {clips} clips")
        batch = self.tokenizer(texts, padding=True, return_tensors="pt", add_special_tokens=False, padding_side="left")
        inputs: dict[str, Any] = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
        if states:
            inputs["states"] = torch.nn.utils.rnn.pad_sequence(states, batch_first=True)
            inputs["state_lengths"] = torch.tensor([len(clip) for clip in states])
        return BatchFeature(inputs | (self.features(audio) if audio else {}))

    def chat(self, parts: list[str | None], answer: str | None = None) -> str:
        """One user turn of `parts` (text, or None for a clip) in the LM's chat template, and the answer if it is given."""
        content = "".join(SPAN if part is None else part for part in parts)
        prompt = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True, **PLAIN
        )
        return prompt if answer is None else prompt + answer + self.tokenizer.eos_token

    def apply_chat_template(self, conversation: list[dict], **kwargs: Any) -> str:  # type: ignore[override]
        """As everywhere in transformers; content may be a list of {"type": "text" | "audio", ...}."""
        turns = []
        for turn in conversation:
            content = turn["content"]
            if not isinstance(content, str):
                content = "".join(SPAN if part["type"] == "audio" else part["text"] for part in content)
            turns.append({"role": turn["role"], "content": content})
        return self.tokenizer.apply_chat_template(turns, **{"tokenize": False, **PLAIN, **kwargs})


AutoProcessor.register(InserterConfig, InserterProcessor)
