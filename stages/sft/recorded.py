"""Turn rows of `sft.sources` into conversations with stored clips, block by block over workers.

A recording without a transcript is heard by a recogniser. What it hears tells whether the recording
says a prompt of the benchmark, and about how many positions it takes.
"""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from inserter.audio.clips import flac, write_shard
from inserter.audio.effects import Effect
from inserter.errors import InserterError
from inserter.files import read_table, write_table
from inserter.params import Params, SftSource
from inserter.run.executor import ordered_map
from inserter.run.work import WorkFolder
from inserter.scoring.recordfiles import Refused
from inserter.tables import DIALOGUES, UTTERANCES, Dialogue, Part, Turn, Utterance
from inserter.verification.asr import Transcriber
from inserter.verification.blocks import Listeners, listeners_of
from models.sound import SAMPLE_RATE
from stages.sft.conversations import Piece, Said, conversation
from stages.sft.rows import Row, rows, wave_of

RECORDED = "dialogues/recorded"  # below data/sft
BLOCK = 32  # rows per block and shard; a row may hold minutes of sound
FORMS = {"heard": ("heard",), "read": ("read",), "both": ("heard", "read")}


class Task(NamedTuple):
    """A block of rows."""

    number: int
    """Of the block, over all sources."""
    source: SftSource
    first: int
    """Number of the first row in its source, from 1."""
    rows: list[Row]
    out: Path
    """Folder of the shards."""
    tables: Path
    """Folder of the tables of finished blocks."""
    listeners: Listeners


class Recording(NamedTuple):
    """A clip of a conversation."""

    row: Utterance
    """Its row, without its place in a shard."""
    data: bytes
    """The clip as a FLAC file."""


def recorded(params: Params, work: WorkFolder) -> tuple[list[Dialogue], list[Utterance]]:
    """Return the rows of all sources, and their clips, whose shards are below out/`RECORDED`.

    A row that cannot be used has a reason. Finished blocks survive a kill.
    """
    made: list[Dialogue] = []
    clips: list[Utterance] = []
    for dialogues, utterances in ordered_map(_block, _tasks(params, work), params.verify.workers, executor=params.executor):
        made += read_table(dialogues, DIALOGUES)
        clips += read_table(utterances, UTTERANCES)
    return made, clips


def _tasks(params: Params, work: WorkFolder) -> Iterator[Task]:
    number = 0
    for source in params.sft.sources:
        first, remaining = 1, rows(source)
        while block := list(islice(remaining, BLOCK)):
            yield Task(number, source, first, block, work / "out" / RECORDED, work / "dialogue-rows", listeners_of(params))
            number, first = number + 1, first + len(block)


def _block(task: Task) -> tuple[Path, Path]:
    """Write the shard and the tables of a block, unless this is done; return the tables."""
    dialogues, utterances = (task.tables / f"{task.number:06d}-{name}.parquet" for name in ("dialogues", "clips"))
    if not dialogues.exists():
        made = [_dialogue(task, number, row) for number, row in enumerate(task.rows, task.first)]
        clips = [clip for _, recordings in made for clip in recordings]
        write_table(utterances, _stored(task, clips), UTTERANCES)
        write_table(dialogues, [dialogue for dialogue, _ in made], DIALOGUES)
    return dialogues, utterances


def _stored(task: Task, clips: list[Recording]) -> list[Utterance]:
    """Write the clips to a shard, if there are any, and return their rows."""
    if not clips:
        return []
    shard = task.out / f"shard-{task.number:05d}.tar"
    index = write_shard(
        shard, ((clip.row["utt_id"], clip.data) for clip in clips), {clip.row["utt_id"]: clip.row for clip in clips}
    )
    places = [index[clip.row["utt_id"]] for clip in clips]
    return [
        clip.row
        | {"shard": shard.name, "offset": at, "size": size}
        | {"original_shard": shard.name, "original_offset": at, "original_size": size}
        for clip, (at, size) in zip(clips, places, strict=True)
    ]


def _dialogue(task: Task, number: int, row: Row) -> tuple[Dialogue, list[Recording]]:
    """Return the conversation of a row, or the row with the reason, and its clips."""
    source = task.source
    dialogue: Dialogue = {
        "dialogue_id": f"{source.name}-{number:07d}",
        "source": source.name,
        "place": row.place,
        "license": source.license,
        "language": source.language,
        "forms": [],
        "turns": [],
        "reason": None,
    }
    clips: list[Recording] = []
    try:
        said = conversation(row.value)
        forms = _forms(source, said)
        turns = [_turn(turn, row, task, dialogue=dialogue, clips=clips if "heard" in forms else None) for turn in said]
    except Refused as refused:
        return dialogue | {"reason": str(refused)}, []
    return dialogue | {"forms": forms, "turns": turns}, clips


def _forms(source: SftSource, said: list[Said]) -> list[str]:
    """Return the forms of the source that a conversation can have. Raises Refused if none."""
    without = sum(piece.audio is not None and not piece.text.strip() for turn in said for piece in turn.pieces)
    forms = [form for form in FORMS[source.form] if form == "heard" or not without]
    if not forms:
        raise Refused("no transcript", f"{without} audios have none, and the source is to be read")
    return forms


def _turn(said: Said, row: Row, task: Task, *, dialogue: Dialogue, clips: list[Recording] | None) -> Turn:
    """Return the turn, and append its clips to `clips`; None: audio is read. Raises Refused."""
    parts: list[Part] = []
    for piece in said.pieces:
        utt_id, text = None, piece.text
        if piece.audio is not None and clips is not None:
            utt_id = f"{dialogue['dialogue_id']}-{len(clips)}"
            wave = wave_of(piece.audio, row)
            text = text if text.strip() else _ear(task.listeners, task.source.language).transcribe_alone(wave).strip()
            clips.append(_recording(utt_id, wave, Piece(text), dialogue=dialogue))
        parts.append({"text": text, "utt_id": utt_id, "loss": said.role == "assistant"})
    return {"role": said.role, "parts": parts}


def _recording(utt_id: str, wave: np.ndarray, piece: Piece, *, dialogue: Dialogue) -> Recording:
    data = flac(wave)
    row: Utterance = {
        "utt_id": utt_id,
        "doc_id": dialogue["dialogue_id"],
        "split": "train",
        "language": dialogue["language"],
        "written": piece.text,
        "spoken": piece.text,
        "engine": "recorded",
        "voice": dialogue["source"],
        "license": dialogue["license"],
        "content": hashlib.blake2b(data, digest_size=16).hexdigest(),
        "effect": Effect().to_json(),
        "sample_rate": SAMPLE_RATE,
        "n_samples": len(wave),
        "duration": len(wave) / SAMPLE_RATE,
        "shard": None,
        "offset": 0,
        "size": 0,
        "original_shard": None,
        "original_offset": 0,
        "original_size": 0,
        "error": None,
    }
    return Recording(row, data)


@lru_cache(maxsize=4)
def _ear(listeners: Listeners, language: str) -> Transcriber:
    """Return the first of the recognisers that knows the language.

    Raises InserterError if none does.
    """
    import torch

    threads = torch.get_num_threads()
    if listeners.second:
        with suppress(InserterError):  # the fast one may know English only
            return Transcriber(listeners.first, language, threads)
    return Transcriber(listeners.second or listeners.first, language, threads)
