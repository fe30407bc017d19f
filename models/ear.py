"""A Whisper's decoder as the ear of the speech LLM: what it writes of a clip, and the state that wrote each word.

Its result is one tensor a clip, so that it is kept, batched and read as encoder states are: a row a token of the LM (n, width + 2),
the mean of the decoder states (width) that wrote the token, and the token's id in two columns, each small enough for float16.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import GenerationConfig, WhisperConfig
from transformers.convert_slow_tokenizer import bytes_to_unicode
from transformers.models.whisper.modeling_whisper import WhisperDecoder

from models.alignment import token_starts
from models.encoder import ENCODER_FRAMES, SpeechEncoder, encoded_lengths

ID_COLUMNS = 2
ID_BASE = 2048  # whole numbers up to here are exact in float16
# What a window's text may have: fast English has 7 tokens a second, Chinese up to 9. A decoder that loops is stopped there.
TOKENS_A_SECOND, TOKENS_AT_LEAST = 10, 24
AT_ONCE = 16  # clips: the decoder's memory of each takes 37 MB (Whisper base)
LEVEL, LEVELS = 0.25, 32  # steps of silence in the units of the features, and of how many the states are kept
LONGEST_LOOP, TIMES = 12, 4  # tokens that come so often one after the other are a loop
SILENT, DOUBT = 0.6, -1.0  # nobody speaks: the decoder says so with this probability, and its text has less than this a token

Written = list[int]  # the recogniser's tokens
Read = Callable[[Written], tuple[list[int], list[list[int]]]]  # to the LM's tokens, and for each the places that it was written at
Opens = Callable[[list[int]], tuple[int, list[int]]]  # of a clip's tokens: how many of the first give way, and to which


class Ear(nn.Module):
    """Greedy, a window of 30 s at a time: on shorter input Whisper's decoder loops (see `inserter.verification.asr`).

    The encoder hears a clip's true length. The rest of the window is silence, whose states are computed once for each level of it:
    45 clips of 3.7 s, half of them with noise, so had 0.023 word errors, and 0.021 with all of the window encoded (docs/LOG.md).
    """

    def __init__(self, config: WhisperConfig, recogniser: dict[str, Any] | None) -> None:
        """recogniser: see `recogniser_settings`."""
        super().__init__()
        self.decoder = WhisperDecoder(config)
        self.settings = recogniser or {}
        self._silence: dict[tuple[Any, ...], Tensor] = {}

    @torch.no_grad()
    def hear(self, encoder: SpeechEncoder, features: Tensor, lengths: Tensor) -> list[tuple[Written, Tensor]]:
        """What `write` gives for clips of log-mel features (clips, mels, frames) with `lengths` (clips,) real frames."""
        windows = self._windows(encoder, features, lengths)
        return [clip for encoded, counts in windows for clip in self.write(encoded, [n / ENCODER_FRAMES for n in counts])]

    @torch.no_grad()
    def place(self, encoder: SpeechEncoder, features: Tensor, lengths: Tensor) -> list[tuple[Written, list[int]]]:
        """The tokens that `hear` gives for each clip, and the encoder frame that each begins at. It costs one more pass a clip."""
        heads = self.settings.get("alignment_heads")
        found = []
        for encoded, counts in self._windows(encoder, features, lengths):
            written = [tokens for tokens, _ in self.write(encoded, [n / ENCODER_FRAMES for n in counts])]
            prompts, _, _ = self._prompted(encoded)
            for tokens, prompt, states, count in zip(written, prompts.tolist(), encoded, counts, strict=True):
                found.append((tokens, token_starts(self.decoder, prompt, tokens, states, count, heads)))
        return found

    def _windows(self, encoder: SpeechEncoder, features: Tensor, lengths: Tensor) -> Iterator[tuple[Tensor, list[int]]]:
        """The encoder states of whole windows (clips, frames, width), AT_ONCE clips at a time, and how many of each are real."""
        for some, real in zip(features.split(AT_ONCE), lengths.split(AT_ONCE), strict=True):
            clips = [clip[:, :frames] for clip, frames in zip(some, real.tolist(), strict=True)]
            states, counts = encoder(some[..., : int(real.max())], real), encoded_lengths(real).tolist()
            windows = [
                torch.cat([own[:count], self._silent(encoder, clip)[count:]])
                for own, count, clip in zip(states, counts, clips, strict=True)
            ]
            yield torch.stack(windows), counts

    def _silent(self, encoder: SpeechEncoder, clip: Tensor) -> Tensor:
        """The states (frames, width) of a window of nothing. Its log-mel level is the clip's least, in steps of LEVEL: Whisper's
        features have no value more than 8 decades below the clip's greatest."""
        level = round(float(clip.min()) / LEVEL) * LEVEL
        key = (level, clip.device, torch.is_autocast_enabled(clip.device.type))
        if key not in self._silence:
            if len(self._silence) >= LEVELS:
                self._silence.clear()
            frames = 2 * encoder.max_source_positions
            whole = torch.full((1, len(clip), frames), level, dtype=clip.dtype, device=clip.device)
            self._silence[key] = encoder(whole, torch.tensor([frames], device=clip.device))[0]
        return self._silence[key]

    @torch.no_grad()
    def write(self, encoded: Tensor, seconds: list[float]) -> list[tuple[Written, Tensor]]:
        """Encoder states of whole windows (clips, frames, width) -> the tokens (n,) of each, and the decoder states that wrote
        them (n, width), float32. seconds: how long each clip lasts in its window."""
        s = self.settings
        limits = [TOKENS_AT_LEAST + int(TOKENS_A_SECOND * second) for second in seconds]
        limits = [min(limit, self.decoder.max_target_positions - len(s["prompt"])) for limit in limits]
        ids, past, begun = self._prompted(encoded)
        ids = ids if begun is None else ids[:, 1:]
        states: list[Tensor] = []
        tokens: list[Tensor] = []
        chances: list[Tensor] = []
        silent = torch.zeros(len(encoded))
        ended = torch.zeros(len(encoded), dtype=torch.bool, device=encoded.device)
        for step in range(max(limits)):
            past, hidden = self._step(ids, encoded, past)
            if step == 0:
                first = hidden if begun is None else begun
                silent = self._logits(first[:, 0]).softmax(-1)[:, s["silence"]].cpu()
            logits = self._logits(hidden[:, -1])
            chance = logits.log_softmax(-1)
            logits[:, s["suppress"] if step else s["suppress_first"]] = -torch.inf
            logits[:, s["end"] + 1 :] = -torch.inf  # control tokens
            ids = logits.argmax(-1)
            ended |= ids == s["end"]
            if bool(ended.all()):
                break
            states.append(hidden[:, -1].float())
            tokens.append(ids.masked_fill(ended, s["end"]))
            chances.append(chance.gather(1, ids[:, None])[:, 0].masked_fill(ended, 0.0))
            ids = ids[:, None]
        if not tokens:
            return [([], encoded.new_zeros(0, encoded.shape[-1]).float()) for _ in seconds]
        said, by, sure = torch.stack(tokens, 1).cpu(), torch.stack(states, 1), torch.stack(chances, 1).cpu()
        found = []
        for row, (limit, nobody) in enumerate(zip(limits, silent.tolist(), strict=True)):
            written = [token for token in said[row].tolist()[:limit] if token != s["end"]]
            mean = float(sure[row, : len(written)].sum()) / max(1, len(written))
            if len(written) == limit:  # people who repeat themselves come to an end
                written = without_loop(written)
            if nobody > SILENT and mean < DOUBT:
                written = []
            found.append((written, by[row, : len(written)]))
        return found

    def _prompted(self, encoded: Tensor) -> tuple[Tensor, Any, Tensor | None]:
        """The prompt of each clip (clips, n), and the decoder's memory and states of its first token, where that has chosen the
        language: the likeliest of `languages`, as in Whisper's own `detect_language`."""
        ids = torch.tensor([self.settings["prompt"]] * len(encoded), device=encoded.device)
        languages = torch.tensor(self.settings.get("languages", []), dtype=torch.long, device=encoded.device)
        if not len(languages):
            return ids, None, None
        past, begun = self._step(ids[:, :1], encoded, None)
        ids[:, 1] = languages[self._logits(begun[:, 0])[:, languages].argmax(-1)]
        return ids, past, begun

    def _step(self, ids: Tensor, encoded: Tensor, past: Any) -> tuple[Any, Tensor]:
        """The decoder's memory and states (clips, n, width) after `ids` (clips, n)."""
        output = self.decoder(input_ids=ids, encoder_hidden_states=encoded, past_key_values=past, use_cache=True)
        return output.past_key_values, output.last_hidden_state

    def _logits(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.decoder.embed_tokens.weight).float()


def without_loop(tokens: Written) -> Written:
    """`tokens` up to the second time of what is said TIMES times and more at their end."""
    for size in range(1, LONGEST_LOOP + 1):
        unit = tokens[-size:]
        times = 1
        while len(unit) == size and tokens[-size * (times + 1) : -size * times] == unit:
            times += 1
        if times >= TIMES:
            return without_loop(tokens[: len(tokens) - size * (times - 1)])
    return tokens


def recogniser_settings(encoder: str, languages: Sequence[str] = ()) -> dict[str, Any]:
    """The settings of a Whisper's decoder, from its generation configuration: the prompt, and the tokens that end a text, mark
    silence, or are never written.

    languages: what may be spoken, in ISO 639-1; none stands for all that the model knows. One language is a part of the prompt. Of
    several the decoder chooses one for each window: `languages` has their tokens. Raises ValueError for one that it does not know.
    """
    g: Any = GenerationConfig.from_pretrained(encoder)
    known = g.lang_to_id if getattr(g, "is_multilingual", False) else {"<|en|>": None}
    names = [f"<|{language}|>" for language in languages] or list(known)
    if unknown := [name[2:-2] for name in names if name not in known]:
        told = "does not know the language" if len(known) > 1 else "knows English only, not"
        raise ValueError(f"the recogniser of {encoder} {told} {unknown[0]!r}")
    spoken = [known[name] for name in names if known[name] is not None]
    task = [spoken[0], g.task_to_id["transcribe"]] if spoken else []
    suppress = list(g.suppress_tokens or [])
    settings = {
        "prompt": [g.decoder_start_token_id, *task, g.no_timestamps_token_id],
        "end": g.eos_token_id,
        "silence": g.no_timestamps_token_id - 1,  # <|nospeech|>: in every Whisper the one before
        "suppress": suppress,
        "suppress_first": sorted({*suppress, *(g.begin_suppress_tokens or [])}),
        "alignment_heads": getattr(g, "alignment_heads", None),
    }
    return settings | ({"languages": spoken} if len(spoken) > 1 else {})


@cache
def _bytes() -> dict[str, int]:
    return {letter: number for number, letter in bytes_to_unicode().items()}


def text_of(tokenizer: Tokenizer, written: Written) -> tuple[str, list[set[int]]]:
    """The text of a Whisper's tokens, and for each character the places of the tokens that it is made of.

    A byte that is no part of a character stands as half a surrogate pair."""
    pieces = [bytes(_bytes()[letter] for letter in tokenizer.id_to_token(token) or "") for token in written]
    owner = [place for place, piece in enumerate(pieces) for _ in piece]
    text, at, places = b"".join(pieces).decode("utf-8", "surrogateescape"), 0, []
    for character in text:
        end = at + len(character.encode("utf-8", "surrogateescape"))
        places.append(set(owner[at:end]))
        at = end
    return text, places


def as_rows(written: Written, states: Tensor, read: Read) -> Tensor:
    """A clip as the adapter takes it (n, width + ID_COLUMNS), of what `Ear.write` found."""
    ids, places = read(written)
    if not ids:
        return states.new_zeros(0, states.shape[-1] + ID_COLUMNS)
    return _rows(torch.stack([states[place].mean(dim=0) for place in places]), ids)


def opened(rows: Tensor, opens: Opens) -> Tensor:
    """Rows of a clip (n, width + ID_COLUMNS) as they stand where a text begins with it.

    A token that is new there has the mean of the states of those that gave way.
    """
    states, tokens = split_rows(rows)
    replaced, ids = opens(tokens.tolist())
    mean = states[: max(1, replaced)].mean(dim=0, keepdim=True)
    return torch.cat([_rows(mean.expand(len(ids), -1), ids), rows[replaced:]])


def _rows(states: Tensor, ids: list[int]) -> Tensor:
    numbers = torch.tensor(ids, dtype=torch.long, device=states.device)
    return torch.cat([states, torch.stack([numbers // ID_BASE, numbers % ID_BASE], 1).to(states)], dim=1)


def split_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Decoder states (..., width) and the LM's tokens (...) of `as_rows`."""
    high, low = rows[..., -2], rows[..., -1]
    return rows[..., :-ID_COLUMNS], (high.round().long() * ID_BASE + low.round().long())
