"""Provide clips as a model hears them: encoder states that are computed once, or waves.

Encoder states are most of a small run's cost. Computing states once is exact while the encoder is
frozen. The states are kept by content in `.work/states/KEY/`, or below INSERTER_STATES. KEY depends
on the encoder's weights and code, and on the table of clips.

The states are float16: 187 MB per hour of audio for Whisper base. States are read through a memory
map, so memory does not grow with the corpus.
"""

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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
from inserter.tables import Clip
from inserter.training.cliptable import ClipTable
from inserter.training.processes import barrier, rank, world
from models import InserterForConditionalGeneration, InserterProcessor

CHUNK = 256  # clips per file: the unit of resuming
BATCH_SECONDS = 240.0
KEPT = 65_536  # clips: 12 GB of states at 3.5 s a clip of Whisper base
THREADS = 8  # that read clips
NONE = np.zeros(0, np.float16)
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
        # A file of clips in which nothing was heard is empty, and cannot be mapped.
        files = {name: np.memmap(folder / name, np.float16, "r") if (folder / name).stat().st_size else NONE for name in names}
        return cls(index, {name: values.reshape(-1, width) for name, values in files.items()})

    def __getitem__(self, utt_id: str) -> Tensor:
        name, start, frames = self.index[utt_id]
        return torch.from_numpy(self.files[name][start : start + frames].astype(np.float32))

    def __contains__(self, utt_id: str) -> bool:
        return utt_id in self.index

    def join(self, other: "States") -> "States":
        """Return both together; the other's clips win if an id is in both."""
        return States(self.index | other.index, self.files | other.files)


class Reader:
    """Reads clips of some tables; on a GPU's machine in threads, ahead of their use."""

    def __init__(self, tables: Sequence[ClipTable], device: torch.device) -> None:
        """tables: if two have a clip of one id, the later one counts."""
        self.tables = tables
        threads = min(THREADS, os.cpu_count() or 1) if device.type == "cuda" else 0
        self._pool = ThreadPoolExecutor(threads) if threads else None
        self._read: dict[str, Future[np.ndarray]] = {}

    def place(self, utt_id: str) -> tuple[Path, Clip]:
        """Return the folder and the row of a clip. Raises KeyError for an unknown clip."""
        for table in reversed(self.tables):
            if (row := table.get(utt_id)) is not None:
                return table.shards, row
        raise KeyError(utt_id)

    def expect(self, names: Iterable[str]) -> None:
        """Begin to read clips that will be asked for once."""
        if self._pool:
            self._read |= {name: self._pool.submit(self._now, name) for name in names if name not in self._read}

    def __getitem__(self, utt_id: str) -> np.ndarray:
        """Return float32 (samples,) at 16 kHz."""
        begun = self._read.pop(utt_id, None)
        return begun.result() if begun else self._now(utt_id)

    def _now(self, utt_id: str) -> np.ndarray:
        return read_clip(*self.place(utt_id))


Window = Callable[[int], list[str]]  # returns the clips that a rank hears in a window of steps


class Sounds:
    """The waves for an encoder that learns: a clip is encoded anew each time it is heard."""

    def __init__(self, processor: InserterProcessor, tables: Sequence[ClipTable], device: torch.device) -> None:
        self.processor, self.reader = processor, Reader(tables, device)
        self._window = -1

    def seconds(self, utt_id: str) -> float:
        """Return how long a clip is, from its row."""
        return self.reader.place(utt_id)[1]["duration"]

    def reach(self, window: int, names: Window) -> None:
        """Begin to read the clips of a window of steps."""
        if window != self._window:
            self._window = window
            self.reader.expect(names(window))

    def encoded(self, model: InserterForConditionalGeneration, names: list[str]) -> tuple[Tensor, Tensor, list[int]]:
        """Return what `model.hear` takes for these clips, with a gradient into the encoder."""
        given = self.processor.features([self.reader[name] for name in names])
        states, lengths = model.encode(given["input_features"].to(model.device), given["feature_lengths"].to(model.device))
        return states, lengths, given["clip_windows"]


class Ahead:
    """The states of one window of steps, for more clips than are worth keeping.

    The clips of a window are encoded together when the window begins. Those of the next window are
    read meanwhile. Nothing is written to disk.
    """

    def __init__(
        self,
        model: InserterForConditionalGeneration,
        processor: InserterProcessor,
        tables: Sequence[ClipTable],
        *,
        precision: str,
    ) -> None:
        self.model, self.processor, self.precision = model, processor, precision
        self.reader = Reader(tables, model.device)
        self._window = -1
        self._states: dict[str, Tensor] = {}

    def reach(self, window: int, names: Window) -> None:
        """Encode the clips of a window of steps, and begin to read those of the next one."""
        if window == self._window:
            return
        wanted = {*names(window)}
        training = self.model.training
        self._states = {name: states for name, states in self._states.items() if name in wanted}
        rows = sorted((self.reader.place(name)[1] for name in wanted - self._states.keys()), key=_by_length)
        self.reader.expect(row["utt_id"] for row in rows)
        for group in _by_seconds(rows):
            waves = [self.reader[row["utt_id"]] for row in group]
            made = _encoded(self.model, self.processor, waves, precision=self.precision)
            self._states |= {row["utt_id"]: states.half() for row, states in zip(group, made, strict=True)}
        self.model.train(training)
        self._window = window
        self.reader.expect({*names(window + 1)} - self._states.keys())

    def __getitem__(self, utt_id: str) -> Tensor:
        """Return the states (frames, width), float32 on the model's device."""
        return self._states[utt_id].float()


Clips = States | Sounds | Ahead | Mapping[str, Tensor]


def batch(states: list[Tensor], device: torch.device | str) -> tuple[Tensor, Tensor]:
    """Return the padded states (clips, frames, width) on `device`, and their lengths (clips,).

    The lengths stay on the CPU, which needs them to lay out a row.
    """
    lengths = torch.tensor([len(s) for s in states])
    return torch.nn.utils.rnn.pad_sequence(states, batch_first=True).to(device, non_blocking=True), lengths


def clips_for(
    model: InserterForConditionalGeneration,
    processor: InserterProcessor,
    tables: Sequence[ClipTable],
    *,
    settings: Pretrain | Sft,
    needed: Callable[[], set[str]],
) -> Clips:
    """Return the clips of `tables` for a phase.

    Clips are read and encoded in every step if the encoder learns. Up to KEPT clips are encoded
    once and kept for later phases and runs. More clips are encoded a window of steps ahead.

    needed: returns the ids that the phase trains on. With the adapter `soft_token`, whose warm-up
        hears all clips, all are encoded already.
    """
    if settings.trainable.encoder:
        return Sounds(processor, tables, model.device)
    if sum(map(len, tables)) > KEPT:
        return Ahead(model, processor, tables, precision=settings.precision)
    wanted = needed() if model.config.adapter != "soft_token" else None
    return _encoded_once(model, processor, tables, names=wanted, precision=settings.precision)


def clips_to_measure(
    model: InserterForConditionalGeneration,
    processor: InserterProcessor,
    tables: Sequence[ClipTable],
    *,
    settings: Pretrain | Sft,
    names: Iterable[str],
) -> Clips:
    """Return the clips `names` of `tables`, on which a phase measures and does not train."""
    if settings.trainable.encoder:
        return Sounds(processor, tables, model.device)
    return _encoded_once(model, processor, tables, names=list(names), precision=settings.precision)


def _encoded_once(
    model: InserterForConditionalGeneration,
    processor: InserterProcessor,
    tables: Sequence[ClipTable],
    *,
    names: Collection[str] | None,
    precision: str,
) -> States:
    """Return the states of the clips `names`, or of all clips."""
    states = States({}, {})
    for table in tables:
        rows = [table[name] for name in (table if names is None else names) if name in table]
        states = states.join(encode_clips(model, processor, rows, shards=table.shards, precision=precision))
    return states


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
    for row in sorted(rows, key=_by_length):  # similar lengths share a batch
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
    for group in _by_seconds(rows):
        made = _encoded(model, processor, [read_clip(shards, row) for row in group], precision=precision)
        for row, states in zip(group, made, strict=True):
            index[row["utt_id"]] = (at, len(states))
            arrays.append(states.float().cpu().numpy().astype(np.float16))
            at += len(states)
        bar.update(len(group))
    atomic(path, lambda p: np.concatenate(arrays).tofile(p))
    return index


def _encoded(
    model: InserterForConditionalGeneration, processor: InserterProcessor, waves: list[np.ndarray], *, precision: str
) -> list[Tensor]:
    """Return the states (frames, width) of each clip, without a gradient."""
    model.eval()
    given = processor.features(waves)
    with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16"):
        encoded, lengths = model.encode(given["input_features"].to(model.device), given["feature_lengths"].to(model.device))
    pieces = [row[:n] for row, n in zip(encoded, lengths.tolist(), strict=True)]
    return [torch.cat([pieces.pop(0) for _ in range(windows)]) for windows in given["clip_windows"]]


def _by_length(row: Clip) -> tuple[float, str]:
    return row["duration"], row["utt_id"]


def _by_seconds(rows: list[Clip]) -> list[list[Clip]]:
    """Return groups of at most BATCH_SECONDS of padded audio."""
    groups: list[list[Clip]] = []
    for row in rows:
        if not groups or (len(groups[-1]) + 1) * (row["duration"] + 0.5) > BATCH_SECONDS:
            groups.append([])
        groups[-1].append(row)
    return groups
