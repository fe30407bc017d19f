"""Turn text and audio into the model's inputs.

The processor has the tokenizer with the speech tokens, the log-mel features and the chat template.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoTokenizer, BatchFeature, PreTrainedConfig, ProcessorMixin, WhisperFeatureExtractor
from transformers.utils import cached_file

from models.configuration import AUDIO, SPANS, SPEECH_TOKENS
from models.ear import Written, text_of
from models.plaintext import PlainText, Turn
from models.sound import SAMPLE_RATE
from models.turns import parts_of, waves_of
from models.windows import cut

TAIL_SECONDS = 0.5  # silence after a clip, which Whisper needs for its last frames
RECOGNISER = "recogniser.json"  # file with the tokenizer of the decoder that hears, beside the LM's
# Templates that begin with a chain of thought know this argument. Other templates ignore it.
PLAIN = {"enable_thinking": False}
# Arguments that say from where a file of the hub comes.
HUB = ("cache_dir", "revision", "subfolder", "token", "local_files_only")
# Arguments of transformers' own processors for what is always so here.
ALWAYS = ("processor_kwargs", "padding", "sanitize_control_tokens", "load_audio_from_video")


class Features(TypedDict):
    """What the encoder hears of clips."""

    input_features: Tensor
    """(rows, mels, frames)."""
    feature_lengths: Tensor
    """(rows,)."""
    clip_windows: list[int]
    """Rows per clip."""


class InserterProcessor(ProcessorMixin):
    """`processor(text, audio)`: each speech span of the texts takes one clip of `audio`, in order.

    A text is a string, all of which is read, or ids that `encode` and `chat` made. A string never
    yields a control token.

    delimiters: what is around a clip (`SPANS`). A processor that was saved without this key has the
        paper's tokens.
    """

    # from_pretrained would pass no keyword-only argument.
    def __init__(  # noqa: PLR0917
        self,
        feature_extractor: object = None,
        tokenizer: object = None,
        chat_template: str | None = None,
        delimiters: str = "tokens",
    ) -> None:
        if delimiters not in SPANS:
            raise ValueError(f"unknown delimiters {delimiters!r}; choose {' or '.join(SPANS)}")
        super().__init__(feature_extractor, tokenizer, chat_template=chat_template)
        self.delimiters = delimiters
        self.recogniser: Tokenizer | None = None  # set for the adapter `decoder`

    @classmethod
    def from_parts(cls, lm: str, encoder: str, delimiters: str = "tokens", *, recogniser: bool = False) -> "InserterProcessor":
        """Return a processor from an LM's tokenizer and a Whisper model's feature extractor.

        The three speech tokens are added to the LM's tokenizer.

        lm, encoder: folders or hub names.
        recogniser: whether Whisper's decoder hears, so that its tokens have to be read. This is so
            for the adapter `decoder`.
        """
        tokenizer = AutoTokenizer.from_pretrained(lm)
        tokenizer.add_special_tokens({"additional_special_tokens": SPEECH_TOKENS}, replace_extra_special_tokens=False)
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        extractor = WhisperFeatureExtractor.from_pretrained(encoder)
        processor = cls(extractor, tokenizer, chat_template=tokenizer.chat_template, delimiters=delimiters)
        if recogniser:
            processor.recogniser = AutoTokenizer.from_pretrained(encoder).backend_tokenizer
        return processor

    @classmethod
    def from_pretrained(cls, name: Any, *args: Any, **kwargs: Any) -> "InserterProcessor":  # type: ignore[override]
        # The tokenizer's own files name its class. Without `config`, transformers would look for
        # the class in config.json, and ask whether code in the folder may be run.
        processor = super().from_pretrained(name, *args, **{"config": PreTrainedConfig(), **kwargs})
        where = {key: kwargs[key] for key in HUB if key in kwargs}
        file = cached_file(name, RECOGNISER, _raise_exceptions_for_missing_entries=False, **where)
        processor.recogniser = Tokenizer.from_file(file) if file else None
        return processor

    def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> Any:
        if self.recogniser is not None:
            Path(save_directory).mkdir(parents=True, exist_ok=True)
            self.recogniser.save(str(Path(save_directory) / RECOGNISER))
        return super().save_pretrained(save_directory, *args, **kwargs)

    def read(self, written: Written) -> tuple[list[int], list[list[int]]]:
        """Return what the recogniser wrote, in the LM's tokens as they are after a blank.

        The second result has, per token, the places in `written` from which the token comes (see
        `models.ear.Read`).
        """
        assert self.recogniser is not None
        text, owner = text_of(self.recogniser, written)
        said = text.strip()
        if not said:
            return [], []
        start = text.index(said)
        by = [owner[start], *owner[start : start + len(said)]]
        ids, spans = self.plain.encode_placed(" " + said)
        return ids, [sorted(set().union(*by[first : max(end, first + 1)])) for first, end in spans]

    @cached_property
    def plain(self) -> PlainText:
        """The encoder of every text from outside."""
        return PlainText(self.tokenizer, SPANS[self.delimiters])

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text from outside.

        Ordinary tokens spell what looks like a control token in the text.
        """
        return self.plain.encode(text)

    def encode_all(self, texts: Iterable[str]) -> dict[str, list[int]]:
        """Return the result of `encode` for each text, computed on all cores."""
        return self.plain.encode_all(texts)

    @property
    def audio_token_id(self) -> int:
        return self.tokenizer.convert_tokens_to_ids(AUDIO)

    @property
    def span_ids(self) -> list[int]:
        """The ids that stand for one clip: the placeholder of speech, and its delimiters if any."""
        return self.tokenizer.convert_tokens_to_ids(SPANS[self.delimiters])

    @property
    def tokens(self) -> list[str]:
        """How each token of the vocabulary is written.

        A token that is part of a letter is written as the replacement character.
        """
        return self.tokenizer.batch_decode([[number] for number in range(len(self.tokenizer))])

    @cached_property
    def begins(self) -> list[bool]:
        """Whether a text begins after each token.

        A text begins after a blank, a new line, or a control token other than the speech tokens.
        """
        control = {self.document_start_id, *self.tokenizer.all_special_ids}
        control -= {*self.tokenizer.convert_tokens_to_ids(SPEECH_TOKENS)}
        return [number in control or text[-1:].isspace() for number, text in enumerate(self.tokens)]

    def opens(self, ids: list[int]) -> tuple[int, list[int]]:
        """Return what changes in the tokens of a clip where a text begins with the clip.

        There the clip has no leading blank. The result says how many of the first tokens give way,
        and to which tokens (see `models.ear.Opens`).

        ids: what `read` returned for the clip.
        """
        bare = self.encode(self.tokenizer.decode(ids, clean_up_tokenization_spaces=False).strip())
        same = 0
        while same < min(len(ids), len(bare)) and ids[-1 - same] == bare[-1 - same]:
            same += 1
        return len(ids) - same, bare[: len(bare) - same]

    @property
    def document_start_id(self) -> int:
        """The id of `<|endoftext|>` if the tokenizer has it, else of BOS, else of EOS.

        `<|endoftext|>` separates documents in pre-training.
        """
        tokenizer = self.tokenizer
        # A tokenizer that lacks the token gives None, or another token's id.
        known = tokenizer.convert_tokens_to_ids("<|endoftext|>")
        if known is not None and tokenizer.convert_ids_to_tokens(known) == "<|endoftext|>":
            return known
        return tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id

    def features(self, waves: list[np.ndarray]) -> Features:
        """Return input_features (rows, mels, frames), feature_lengths (rows,) and clip_windows.

        waves: clips of 16 kHz float32.

        Each clip is computed alone, so the batch does not change the clip. A clip over 29.5 s,
        which is a window of 30 s less the silence, becomes several rows, cut where the clip pauses.
        clip_windows has the number of rows per clip.
        """
        tail = int(TAIL_SECONDS * SAMPLE_RATE)
        pieces = [cut(wave, self.feature_extractor.n_samples - tail) for wave in waves]
        rows = [self._mel(np.pad(piece, (0, tail))) for clip in pieces for piece in clip]
        lengths = torch.tensor([row.shape[-1] for row in rows])
        features = torch.stack([F.pad(row, (0, int(lengths.max()) - row.shape[-1])) for row in rows])
        return {"input_features": features, "feature_lengths": lengths, "clip_windows": [len(clip) for clip in pieces]}

    def _mel(self, wave: np.ndarray) -> Tensor:
        """Return log-mel features (mels, frames) at 100 frames per second."""
        # The transform reflects half a window, so a clip that is too short for that is padded.
        least = self.feature_extractor.n_fft + self.feature_extractor.hop_length
        wave = np.pad(wave, (0, max(0, least - len(wave))))
        # An encoder that learns hears within a step, where autocast on a CPU would apply.
        with torch.autocast("cpu", enabled=False):
            output = self.feature_extractor(
                wave, sampling_rate=SAMPLE_RATE, padding="do_not_pad", truncation=False, return_tensors="np"
            )
        return torch.from_numpy(np.asarray(output["input_features"][0], dtype=np.float32))

    def __call__(
        self,
        text: str | list[int] | list[str] | list[list[int]],
        audio: list[np.ndarray] | np.ndarray | None = None,
        states: list[Tensor] | None = None,
        **kwargs: object,
    ) -> BatchFeature:
        """Return padded `input_ids` and `attention_mask`, and the speech.

        The speech is the features of `audio`, or `states` with `state_lengths`.

        states: what the encoder returned, (frames, width) per clip.

        Raises ValueError for audio beside states, for more or fewer clips than speech spans, and
        for another `sampling_rate` than 16 kHz.
        """
        if kwargs.get("sampling_rate") not in (None, SAMPLE_RATE):
            raise ValueError(f"the sampling rate of audio is {SAMPLE_RATE:,} Hz, and not {kwargs['sampling_rate']}")
        texts: Any = [text] if isinstance(text, str) or (text and isinstance(text[0], int)) else text
        rows: list[list[int]] = [self.encode(one) if isinstance(one, str) else one for one in texts]
        audio = [audio] if isinstance(audio, np.ndarray) else audio or []
        if audio and states:
            raise ValueError("give the clips of a batch either as audio or as encoder states")
        wanted, clips = sum(row.count(self.audio_token_id) for row in rows), len(audio) or len(states or [])
        if wanted != clips:
            raise ValueError(f"the texts have {wanted} audio placeholders for {clips} clips")
        inputs: dict[str, Any] = _batch(rows, self.tokenizer.pad_token_id)
        if states:
            inputs["states"] = pad_sequence(states, batch_first=True)
            inputs["state_lengths"] = torch.tensor([len(clip) for clip in states])
        return BatchFeature({**inputs, **self.features(audio)} if audio else inputs)

    def chat(self, parts: list[str | None], answer: str | None = None) -> list[int]:
        """Return the ids of one user turn in the LM's chat template, and of the answer if given.

        parts: the parts of the turn, each a text, or None for a clip.

        Raises ValueError for a template that loses or changes a text.
        """
        prompt = self.prompt([{"role": "user", "content": parts}])
        return prompt if answer is None else [*prompt, *self.answer(answer)]

    def prompt(self, turns: Sequence[Turn]) -> list[int]:
        """Return the ids of a chat in the LM's template, up to where the next answer begins.

        Raises ValueError for a template that loses or changes a text.
        """
        return self.plain.chat(turns, add_generation_prompt=True, **PLAIN)

    def answer(self, text: str) -> list[int]:
        """Return the ids of an answer and its end."""
        return [*self.encode(text), self.tokenizer.eos_token_id]

    def apply_chat_template(  # type: ignore[override]
        self,
        conversation: list[dict[str, Any]] | list[list[dict[str, Any]]],
        tokenize: bool = False,
        return_dict: bool = True,
        *,
        return_tensors: str | None = None,
        **kwargs: object,
    ) -> str | list[str] | list[int] | list[list[int]] | Tensor | BatchFeature:
        """Apply the LM's chat template to one conversation or several, as transformers does.

        conversation: turns, whose content is a text or a list of {"type": "text", "text": …} and
            {"type": "audio", …}. The sound is under `audio`, `path` or `url`: samples at 16 kHz, a
            file, its bytes, its base64 or its URL. Without a sound, the part is a placeholder.
        tokenize: return what the model reads. Otherwise return a string for people, which does not
            show which control tokens are text.
        return_tensors: "pt" for tensors, left-padded; None for lists of ids.

        Raises ValueError for a template that loses or changes a text, for a sound that cannot be
        read, and if only some of the audio parts have a sound.
        """
        several = bool(conversation) and isinstance(conversation[0], list)
        chats: Any = conversation if several else [conversation]
        template = {**PLAIN, **{name: value for name, value in kwargs.items() if name not in ALWAYS}}
        turns = [[Turn(role=turn["role"], content=parts_of(turn["content"])) for turn in chat] for chat in chats]
        if not tokenize:
            shown = [self.plain.render(chat, **template) for chat in turns]
            return shown if several else shown[0]
        inputs = _batch([self.plain.chat(chat, **template) for chat in turns], self.tokenizer.pad_token_id)
        if return_tensors is None:
            for name, rows in inputs.items():
                inputs[name] = rows.tolist() if several else rows[0].tolist()
        elif return_tensors != "pt":
            raise ValueError(f"return_tensors is {return_tensors!r}; give pt or None")
        if not return_dict:
            return inputs["input_ids"]
        waves = waves_of([turn["content"] for chat in chats for turn in chat])
        return BatchFeature({**inputs, **self.features(waves)} if waves else inputs)


def _batch(rows: list[list[int]], pad: int) -> dict[str, Any]:
    """Return `input_ids` and `attention_mask` (rows, n).

    Each row ends at the right, where the answer begins.
    """
    ids = [torch.tensor(row, dtype=torch.long) for row in rows]
    masks = [torch.ones_like(row) for row in ids]
    padded = {"input_ids": (ids, pad), "attention_mask": (masks, 0)}
    return {name: pad_sequence(of, True, value, padding_side="left") for name, (of, value) in padded.items()}
