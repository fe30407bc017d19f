"""A Whisper's decoder as recogniser of the speech LLM: its text of a clip, and its states.

The result is one tensor per clip (n, width + 2), which is kept, batched and read as encoder states
are. Each row is a token of the LM. A row has the mean (width) of the decoder states that wrote the
token, and the token's id in two columns. Both columns are small enough for float16.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import Cache, GenerationConfig, WhisperConfig
from transformers.convert_slow_tokenizer import bytes_to_unicode
from transformers.models.whisper.modeling_whisper import WhisperDecoder

from models.alignment import token_starts
from models.configuration import Recogniser
from models.decoding import CACHE
from models.encoder import ENCODER_FRAMES, SpeechEncoder, encoded_lengths

ID_COLUMNS = 2
ID_BASE = 2048  # whole numbers up to here are exact in float16
# Limit of a window's text, which stops a decoder that loops. Fast English has 7 tokens per second,
# Chinese up to 9.
TOKENS_A_SECOND, TOKENS_AT_LEAST = 10, 24
AT_ONCE = 16  # clips; the decoder's cache of each takes 37 MB (Whisper base)
# The step between levels of silence, in units of the features, and how many levels are kept.
LEVEL, LEVELS = 0.25, 32
LONGEST_LOOP, TIMES = 12, 4  # a loop: a unit of at most 12 tokens, at least 4 times in a row
# A clip has no speech if the decoder's probability of silence is above the first number, and the
# mean log probability per token of its text is below the second.
SILENT, DOUBT = 0.6, -1.0

Written = list[int]  # the recogniser's tokens
# Turns `Written` into the LM's tokens. The second result has each token's places in `Written`.
Read = Callable[[Written], tuple[list[int], list[list[int]]]]
# Takes a clip's tokens; returns how many of the first give way where a text begins, and to which.
Opens = Callable[[list[int]], tuple[int, list[int]]]


class Ear(nn.Module):
    """A greedy recogniser, which decodes one window of 30 s at a time.

    On shorter input, Whisper's decoder loops (see `inserter.verification.asr`). The encoder
    processes a clip's true length. The rest of the window is silence. The states of silence are
    computed once per level of silence.

    With this shortcut, 45 clips of 3.7 s, half of them with noise, had a word error rate of 0.023.
    With the whole window encoded, the rate was 0.021 (docs/LOG.md).
    """

    def __init__(self, config: WhisperConfig, recogniser: Recogniser | None) -> None:
        """Build the decoder. recogniser: see `recogniser_settings`."""
        super().__init__()
        self.decoder = WhisperDecoder(config)
        self.settings = recogniser or Recogniser()
        self._silence: dict[tuple[float, torch.device, bool], Tensor] = {}

    @torch.no_grad()
    def hear(self, encoder: SpeechEncoder, features: Tensor, lengths: Tensor) -> list[tuple[Written, Tensor]]:
        """Return the result of `write` for clips.

        features: log-mel features (clips, mels, frames), with `lengths` (clips,) real frames.
        """
        windows = self._windows(encoder, features, lengths)
        return [clip for encoded, counts in windows for clip in self.write(encoded, [n / ENCODER_FRAMES for n in counts])]

    @torch.no_grad()
    def place(self, encoder: SpeechEncoder, features: Tensor, lengths: Tensor) -> list[tuple[Written, list[int]]]:
        """Return each clip's tokens as in `hear`, and the encoder frame at which each token begins.

        The frames cost one more pass per clip.
        """
        heads = self.settings.get("alignment_heads")
        found = []
        for encoded, counts in self._windows(encoder, features, lengths):
            written = [tokens for tokens, _ in self.write(encoded, [n / ENCODER_FRAMES for n in counts])]
            prompts, _, _ = self._prompted(encoded)
            for tokens, prompt, states, count in zip(written, prompts.tolist(), encoded, counts, strict=True):
                found.append((tokens, token_starts(self.decoder, prompt, tokens, states=states, frames=count, heads=heads)))
        return found

    def _windows(self, encoder: SpeechEncoder, features: Tensor, lengths: Tensor) -> Iterator[tuple[Tensor, list[int]]]:
        """Yield encoder states of whole windows (clips, frames, width), and real frames per clip.

        One step yields up to AT_ONCE clips.
        """
        for some, real in zip(features.split(AT_ONCE), lengths.split(AT_ONCE), strict=True):
            clips = [clip[:, :frames] for clip, frames in zip(some, real.tolist(), strict=True)]
            states, counts = encoder(some[..., : int(real.max())], real), encoded_lengths(real).tolist()
            windows = [
                torch.cat([own[:count], self._silent(encoder, clip)[count:]])
                for own, count, clip in zip(states, counts, clips, strict=True)
            ]
            yield torch.stack(windows), counts

    def _silent(self, encoder: SpeechEncoder, clip: Tensor) -> Tensor:
        """Return the states (frames, width) of a window of silence.

        The log-mel level of the window is the clip's least value, in steps of LEVEL. The level
        depends on the clip, because Whisper's features have no value more than 8 decades below the
        clip's greatest.
        """
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
        """Return each clip's tokens (n,), and the decoder states (n, width) that wrote them.

        The states are float32.

        encoded: encoder states of whole windows (clips, frames, width).
        seconds: how long each clip lasts in its window.
        """
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
            if len(written) == limit:  # people who repeat themselves stop before the limit
                written = without_loop(written)
            if nobody > SILENT and mean < DOUBT:
                written = []
            found.append((written, by[row, : len(written)]))
        return found

    def _prompted(self, encoded: Tensor) -> tuple[Tensor, Cache | None, Tensor | None]:
        """Return each clip's prompt (clips, n), and the decoder's cache and states at its start.

        The cache and the states are those after the prompt's first token, by which the language is
        chosen. Both are None if there is nothing to choose. The choice is the likeliest of
        `languages`, as in Whisper's own `detect_language`.
        """
        ids = torch.tensor([self.settings["prompt"]] * len(encoded), device=encoded.device)
        languages = torch.tensor(self.settings.get("languages", []), dtype=torch.long, device=encoded.device)
        if not len(languages):
            return ids, None, None
        past, begun = self._step(ids[:, :1], encoded, None)
        ids[:, 1] = languages[self._logits(begun[:, 0])[:, languages].argmax(-1)]
        return ids, past, begun

    def _step(self, ids: Tensor, encoded: Tensor, past: Cache | None) -> tuple[Cache, Tensor]:
        """Return the decoder's cache and states (clips, n, width) after `ids` (clips, n)."""
        output = self.decoder(input_ids=ids, encoder_hidden_states=encoded, use_cache=True, **{CACHE: past})
        return output[CACHE], output.last_hidden_state

    def _logits(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.decoder.embed_tokens.weight).float()


def without_loop(tokens: Written) -> Written:
    """Return `tokens` with a loop at their end cut to its first occurrence.

    In a loop, up to LONGEST_LOOP tokens occur TIMES times or more in a row.
    """
    for size in range(1, LONGEST_LOOP + 1):
        unit = tokens[-size:]
        times = 1
        while len(unit) == size and tokens[-size * (times + 1) : -size * times] == unit:
            times += 1
        if times >= TIMES:
            return without_loop(tokens[: len(tokens) - size * (times - 1)])
    return tokens


def recogniser_settings(encoder: str, languages: Sequence[str] = ()) -> Recogniser:
    """Return the settings of a Whisper's decoder, from its generation configuration.

    The settings are the prompt, the heads that follow the sound, and the tokens that end a text,
    mark silence, or are never written.

    encoder: the Whisper model, a folder or hub name.
    languages: what may be spoken, in ISO 639-1. None given stands for all that the model knows. A
        single language is part of the prompt. Of several, the decoder chooses one per window, and
        the setting `languages` has their tokens.

    Raises ValueError for a language that the model does not know.
    """
    g: Any = GenerationConfig.from_pretrained(encoder)
    known = g.lang_to_id if getattr(g, "is_multilingual", False) else {"<|en|>": None}
    names = [f"<|{language}|>" for language in languages] or list(known)
    if unknown := [name[2:-2] for name in names if name not in known]:
        told = "does not know the language" if len(known) > 1 else "knows English only, not"
        raise ValueError(f"the recogniser of {encoder} {told} {unknown[0]!r}")
    spoken = [token for name in names if (token := known[name]) is not None]
    task = [spoken[0], g.task_to_id["transcribe"]] if spoken else []
    suppress = list(g.suppress_tokens or [])
    settings: Recogniser = {
        "prompt": [g.decoder_start_token_id, *task, g.no_timestamps_token_id],
        "end": g.eos_token_id,
        "silence": g.no_timestamps_token_id - 1,  # <|nospeech|>: in every Whisper the token before
        "suppress": suppress,
        "suppress_first": sorted({*suppress, *(g.begin_suppress_tokens or [])}),
        "alignment_heads": getattr(g, "alignment_heads", None),
    }
    if len(spoken) > 1:
        settings["languages"] = spoken
    return settings


@cache
def _bytes() -> dict[str, int]:
    return {letter: number for number, letter in bytes_to_unicode().items()}


def text_of(tokenizer: Tokenizer, written: Written) -> tuple[str, list[set[int]]]:
    """Return the text of a Whisper's tokens, and per character the places of its tokens.

    A byte that is no part of a character becomes half a surrogate pair.
    """
    pieces = [bytes(_bytes()[letter] for letter in tokenizer.id_to_token(token) or "") for token in written]
    owner = [place for place, piece in enumerate(pieces) for _ in piece]
    text, at, places = b"".join(pieces).decode("utf-8", "surrogateescape"), 0, []
    for character in text:
        end = at + len(character.encode("utf-8", "surrogateescape"))
        places.append(set(owner[at:end]))
        at = end
    return text, places


def as_rows(written: Written, states: Tensor, read: Read) -> Tensor:
    """Return a clip's rows (n, width + ID_COLUMNS) for the adapter, from what `Ear.write` gave."""
    ids, places = read(written)
    if not ids:
        return states.new_zeros(0, states.shape[-1] + ID_COLUMNS)
    return _rows(torch.stack([states[place].mean(dim=0) for place in places]), ids)


def opened(rows: Tensor, opens: Opens) -> Tensor:
    """Return a clip's rows (n, width + ID_COLUMNS) as they are where a text begins with the clip.

    A token that is new there has the mean of the states of the tokens that gave way.
    """
    states, tokens = split_rows(rows)
    replaced, ids = opens(tokens.tolist())
    mean = states[: max(1, replaced)].mean(dim=0, keepdim=True)
    return torch.cat([_rows(mean.expand(len(ids), -1), ids), rows[replaced:]])


def _rows(states: Tensor, ids: list[int]) -> Tensor:
    numbers = torch.tensor(ids, dtype=torch.long, device=states.device)
    return torch.cat([states, torch.stack([numbers // ID_BASE, numbers % ID_BASE], 1).to(states)], dim=1)


def split_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the decoder states (..., width) and the LM's tokens (...) of rows from `as_rows`."""
    high, low = rows[..., -2], rows[..., -1]
    return rows[..., :-ID_COLUMNS], (high.round().long() * ID_BASE + low.round().long())
