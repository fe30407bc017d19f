"""Provide clips as a model hears them: encoder states that are computed once, or waves.

Encoder states are most of a small run's cost. Computing states once is exact while the encoder is
frozen. The states are kept by content in `.work/states/KEY/`, or below INSERTER_STATES. KEY depends
on the encoder's weights and code, and on the table of clips.

The states are float16: 187 MB per hour of audio for Whisper base. States are read through a memory
map, so memory does not grow with the corpus.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

import models.ear
import models.encoder
import models.processor
from inserter.audio.clips import read_clip
from inserter.files import atomic, fingerprint, read_json, write_json
from inserter.params import Pretrain, Sft
from inserter.paths import states_home
from inserter.tables import Clip, Utterance
from inserter.training.processes import barrier, rank, world
from models import InserterForConditionalGeneration, InserterProcessor

CHUNK = 256  # clips per file: the unit of resuming
BATCH_SECONDS = 240.0
ENCODED_BY = [models.ear.__file__, models.encoder.__file__, models.processor.__file__]


def encoder_digest(model: InserterForConditionalGeneration) -> str:
    """Return 16 hex digits over the encoder's weights and its averaging of frames.

    With the adapter `decoder`, the digits are over the ear's weights too.
    """
    digest = hashlib.sha256(f"pool {model.encoder.pool}".encode())
    parts = model.encoder.state_dict() | (model.ear.state_dict() if model.config.adapter == "decoder" else {})
    for name, value in sorted(parts.items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()[:16]


class States:
    """What the frozen encoder says of each clip: `states[utt_id]` is (frames, width) float32."""

    def __init__(self, index: dict[str, tuple[str, int, int]], files: dict[str, np.ndarray]) -> None:
        """Take {utt_id: (file, first frame, frames)}, and the states (frames, width) per file."""
        self.index, self.files = index, files

    @classmethod
    def kept(cls, folder: Path, index: dict[str, tuple[str, int, int]], width: int) -> "States":
        """Open the files of `index` below `folder`, without reading them."""
        names = {name for name, _, _ in index.values()}
        return cls(index, {name: np.memmap(folder / name, np.float16, "r").reshape(-1, width) for name in names})

    def __getitem__(self, utt_id: str) -> Tensor:
        name, start, frames = self.index[utt_id]
        return torch.from_numpy(self.files[name][start : start + frames].astype(np.float32))

    def __contains__(self, utt_id: str) -> bool:
        return utt_id in self.index

    def join(self, other: "States") -> "States":
        """Return both together; the other's clips win if an id is in both."""
        return States(self.index | other.index, self.files | other.files)


class Sounds:
    """The waves for an encoder that learns: `sounds[utt_id]` is (samples,).

    A clip is read and encoded anew each time it is heard.
    """

    def __init__(self, processor: InserterProcessor, rows: Iterable[Utterance], shards: Path) -> None:
        self.processor = processor
        self.places = {row["utt_id"]: (shards, row) for row in rows}

    def __getitem__(self, utt_id: str) -> np.ndarray:
        return read_clip(*self.places[utt_id])

    def samples(self, utt_id: str) -> int:
        """Return how many samples a clip has, from its row."""
        return self.places[utt_id][1]["n_samples"]

    def join(self, other: "Sounds") -> "Sounds":
        """Return both together; the other's clips win if an id is in both."""
        joined = Sounds(self.processor, (), Path())
        joined.places = {**self.places, **other.places}
        return joined

    def encoded(self, model: InserterForConditionalGeneration, names: list[str]) -> tuple[Tensor, Tensor, list[int]]:
        """Return what `model.hear` takes for these clips, with a gradient into the encoder."""
        given = self.processor.features([self[name] for name in names])
        states, lengths = model.encode(given["input_features"].to(model.device), given["feature_lengths"].to(model.device))
        return states, lengths, given["clip_windows"]


Clips = States | Sounds


def joined(one: Clips, other: Clips) -> Clips:
    """Return both together, which are of one kind; the other's clips win if an id is in both."""
    if isinstance(one, States):
        assert isinstance(other, States)
        return one.join(other)
    assert isinstance(other, Sounds)
    return one.join(other)


def batch(states: list[Tensor], device: torch.device | str) -> tuple[Tensor, Tensor]:
    """Return the padded states (clips, frames, width) and their lengths (clips,)."""
    lengths = torch.tensor([len(s) for s in states], device=device)
    return torch.nn.utils.rnn.pad_sequence(states, batch_first=True).to(device), lengths


def clips_for(
    model: InserterForConditionalGeneration,
    processor: InserterProcessor,
    rows: Iterable[Utterance],
    *,
    shards: Path,
    settings: Pretrain | Sft,
    needed: set[str],
) -> Clips:
    """Return the clips of `rows` for a phase: encoded once, unless the encoder learns.

    needed: the ids that the phase trains on or measures. The other clips are left out, except with
    the adapter `soft_token`: its warm-up hears all clips, so all are encoded already.
    """
    if settings.trainable.encoder:
        return Sounds(processor, rows, shards)
    if model.config.adapter != "soft_token":
        rows = [row for row in rows if row["utt_id"] in needed]
    return encode_clips(model, processor, rows, shards=shards, precision=settings.precision)


def encode_clips(
    model: InserterForConditionalGeneration,
    processor: InserterProcessor,
    rows: Iterable[Clip],
    *,
    shards: Path,
    precision: str,
) -> States:
    """Return the states of all clips of `rows`, from the cache if they are there.

    rows: utt_id, shard, offset, size, duration. shards: the folder with the audio. Each rank
    encodes its share. A killed run resumes after its last finished file of 256 clips.

    Each split (if rows have one) is cached by itself, because evaluation asks for the held-out
    clips alone.
    """
    splits: dict[object, list[Clip]] = {}
    for row in sorted(rows, key=lambda row: row["duration"]):  # similar lengths share a batch
        splits.setdefault(row.get("split"), []).append(row)
    encoder = encoder_digest(model)
    # The states of a recogniser hold ids of the LM's tokenizer.
    heard_with = "" if processor.recogniser is None else processor.tokenizer.backend_tokenizer.to_str()
    settings = model.config.recogniser  # with the language in which the recogniser hears
    index: dict[str, tuple[str, int, int]] = {}
    with tqdm(total=sum(map(len, splits.values())), desc="encode", unit="clip", disable=rank() > 0) as bar:
        for table in splits.values():
            clips = [(r["utt_id"], r["shard"], r["offset"], r["size"]) for r in table]
            key = fingerprint(encoder, heard_with, settings, precision, clips, files=ENCODED_BY)
            index |= _encode_split(model, processor, table, shards=shards, key=key, precision=precision, bar=bar)
    return States.kept(states_home(), index, model.state_width)


def _encode_split(
    model: InserterForConditionalGeneration,
    processor: InserterProcessor,
    rows: list[Clip],
    *,
    shards: Path,
    key: str,
    precision: str,
    bar: tqdm,
) -> dict[str, tuple[str, int, int]]:
    """Encode what the cache lacks of one split and return where each clip is.

    The result is {utt_id: (file below states_home, first frame, frames)}.
    """
    index: dict[str, tuple[str, int, int]] = {}
    names = [f"{key}/{number:05d}.f16" for number in range(-(-len(rows) // CHUNK))]
    for number, name in enumerate(names):
        chunk = rows[number * CHUNK : (number + 1) * CHUNK]
        done = states_home() / f"{name}.json"
        if done.exists() or number % world() != rank():
            bar.update(len(chunk))
        else:
            write_json(
                done, _encode_chunk(model, processor, chunk, shards=shards, path=states_home() / name, precision=precision, bar=bar)
            )
    barrier()
    for name in names:
        for utt_id, (first, frames) in read_json(states_home() / f"{name}.json").items():
            index[utt_id] = (name, first, frames)
    return index


def _encode_chunk(
    model: InserterForConditionalGeneration,
    processor: InserterProcessor,
    rows: list[Clip],
    *,
    shards: Path,
    path: Path,
    precision: str,
    bar: tqdm,
) -> dict[str, tuple[int, int]]:
    """Write the chunk's states; return where each clip is: {utt_id: (first frame, frames)}."""
    index: dict[str, tuple[int, int]] = {}
    arrays: list[np.ndarray] = []
    at = 0
    model.eval()
    for group in _by_seconds(rows):
        features = processor.features([read_clip(shards, row) for row in group])
        with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16"):
            encoded, lengths = model.encode(
                features["input_features"].to(model.device), features["feature_lengths"].to(model.device)
            )
        pieces = [row[:n].float().cpu().numpy().astype(np.float16) for row, n in zip(encoded, lengths.tolist(), strict=True)]
        for row, windows in zip(group, features["clip_windows"], strict=True):
            states = np.concatenate([pieces.pop(0) for _ in range(windows)])
            index[row["utt_id"]] = (at, len(states))
            arrays.append(states)
            at += len(states)
        bar.update(len(group))
    atomic(path, lambda p: np.concatenate(arrays).tofile(p))
    return index


def _by_seconds(rows: list[Clip]) -> list[list[Clip]]:
    """Return groups of at most BATCH_SECONDS of padded audio."""
    groups: list[list[Clip]] = [[]]
    for row in rows:
        if groups[-1] and (len(groups[-1]) + 1) * (row["duration"] + 0.5) > BATCH_SECONDS:
            groups.append([])
        groups[-1].append(row)
    return groups
