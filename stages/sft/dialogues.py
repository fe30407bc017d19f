"""Make conversations to learn from out of `sft.sources`; a row that cannot be used is quarantined.

A conversation without audio that is to be heard is spoken by the voices, and verified like the
generated prompts.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import TypedDict

from jinja2 import TemplateError
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from inserter.errors import InserterError
from inserter.files import read_batches, read_jsonl, write_table
from inserter.params import Params, Sft
from inserter.paths import DATA
from inserter.prompts import overlaps
from inserter.run.work import WorkFolder
from inserter.seeds import rng
from inserter.tables import DIALOGUES, UTTERANCES, VERIFIED, Dialogue, Turn
from inserter.text.spoken import CannotRead, spoken_form
from inserter.training.batches import HeardLengths
from inserter.training.cliptable import ClipTable, indexed
from inserter.training.examples import NOTHING, Example, as_read, dialogue_examples
from inserter.training.processes import from_main, rank
from inserter.tts import Job
from models import InserterForConditionalGeneration, InserterProcessor
from models.room import room
from stages.sft.clips import drawn, said, teachers, verified
from stages.sft.recorded import RECORDED, recorded

SPOKEN = "dialogues/spoken"  # below data/sft
# Similarity of letters, 0 to 1, from which what was heard is a prompt of the benchmark. Recognisers
# spell words otherwise ("harbor").
ALIKE = 0.8
CLEAN_FILE = DATA / "verify" / "clean.parquet"


class SourceReport(TypedDict):
    """What became of a source's rows: rows = kept + the sum over dropped."""

    rows: int
    kept: int
    heard: int
    """Conversations that are learnt from as they are heard."""
    read: int
    dropped: dict[str, int]
    """By kind of reason."""


def make_dialogues(
    params: Params, work: WorkFolder, *, model: InserterForConditionalGeneration, processor: InserterProcessor
) -> dict[str, object]:
    """Write dialogues.parquet and quarantine.parquet (DIALOGUES), and the tables of the clips.

    model: the one that learns from them. Rank 0 works, and the other ranks wait.

    Return a SourceReport by the name of each source; {} without sources. Raises InserterError for a
    source without a usable row.
    """
    if not params.sft.sources:
        return {}
    report = from_main(work.marker("dialogues"))
    if report is None:
        report = _make(params, work, model=model, processor=processor) if rank() == 0 else {}
        if rank() == 0:
            work.mark("dialogues", report)
        report = from_main(report)  # the other ranks wait here
    return report


def _make(
    params: Params, work: WorkFolder, *, model: InserterForConditionalGeneration, processor: InserterProcessor
) -> dict[str, object]:
    made, clips = recorded(params, work)
    made = _each(made, _not_of_the_benchmark())
    usable = {row["dialogue_id"] for row in made if row["reason"] is None}
    write_table(work / "out" / RECORDED / "clips.parquet", [clip for clip in clips if clip["doc_id"] in usable], UTTERANCES)
    made = _heard_by_voices(params, made, work)
    lengths = HeardLengths(model, *dialogue_clips(work))
    made = _each(made, lambda row: _has_room(row, processor, room(model.config), lengths=lengths))
    report = _reports(params.sft, made)
    folder = work / "out" / "dialogues"
    write_table(folder / "dialogues.parquet", [row for row in made if row["reason"] is None], DIALOGUES)
    write_table(folder / "quarantine.parquet", [row for row in made if row["reason"] is not None], DIALOGUES)
    return dict(report)


def dialogue_clips(work: WorkFolder) -> list[ClipTable]:
    """Return the clips of the conversations, as the rows have them and by voices."""
    folders = [work / "out" / place for place in (RECORDED, SPOKEN)]
    return [indexed(folder / "clips.parquet", UTTERANCES, work / f"{folder.name}-clips", shards=folder) for folder in folders]


def examples_of(
    processor: InserterProcessor, dialogue: Dialogue, form: str, *, lengths: Mapping[str, int] = NOTHING
) -> list[Example]:
    """Return the examples of a conversation in a form. lengths: see `dialogue_examples`."""
    turns = dialogue["turns"] if form == "heard" else [_read(turn) for turn in dialogue["turns"]]
    return dialogue_examples(processor, turns, lengths=lengths)


def _read(turn: Turn) -> Turn:
    return {"role": turn["role"], "parts": as_read(turn["parts"])}


def taught(p: Sft, processor: InserterProcessor, dialogues: list[Dialogue], *, lengths: Mapping[str, int]) -> list[Example]:
    """Return the examples to learn from, each as often as the weight of its source says."""
    weights = {source.name: source.weight for source in p.sources}
    chosen: list[Example] = []
    for row in dialogues:
        whole, part = divmod(weights[row["source"]], 1)
        copies = int(whole) + (rng(p.seed, row["dialogue_id"], "weight").random() < part)
        if copies:
            chosen += [item for form in row["forms"] for item in examples_of(processor, row, form, lengths=lengths)] * copies
    return chosen


def _each(dialogues: list[Dialogue], reason: Callable[[Dialogue], str | None]) -> list[Dialogue]:
    """Return the rows; those that were not refused before now have the result of `reason`."""
    return [row if row["reason"] else row | {"reason": reason(row)} for row in dialogues]


def _not_of_the_benchmark() -> Callable[[Dialogue], str | None]:
    asked = [row["prompt"] for row in read_jsonl(DATA / "benchmark" / "prompts.jsonl")]
    found, lower = overlaps(asked), [prompt.casefold() for prompt in asked]

    def heard(text: str) -> bool:
        return process.extractOne(text.casefold(), lower, scorer=Levenshtein.normalized_similarity, score_cutoff=ALIKE) is not None

    def reason(dialogue: Dialogue) -> str | None:
        turns = [turn for turn in dialogue["turns"] if turn["role"] != "assistant"]
        hit = next((text for turn in turns for text in _texts(turn) if found(text)), None)
        clips = (part["text"] for turn in turns for part in turn["parts"] if part["utt_id"])
        hit = next(filter(heard, clips), None) if hit is None else hit
        return None if hit is None else f"overlaps the benchmark: {hit[:80]}"

    return reason


def _texts(turn: Turn) -> Iterator[str]:
    """Yield the texts of a turn, alone and together."""
    yield from (part["text"] for part in turn["parts"])
    yield " ".join(part["text"] for part in turn["parts"])


def _heard_by_voices(params: Params, dialogues: list[Dialogue], work: WorkFolder) -> list[Dialogue]:
    """Let voices speak the user's turns of conversations that are to be heard and have no audio.

    A conversation is refused with any of its clips.
    """
    mute = [row for row in dialogues if row["reason"] is None and "heard" in row["forms"] and not _clips(row)]
    voices = {
        source.language: teachers(params.synthesize, source.language, f"source {source.name}")
        for source in params.sft.sources
        if any(row["source"] == source.name for row in mute)
    }
    jobs: dict[str, list[Job]] = {}
    reasons: dict[str, str] = {}
    for row in mute:
        try:
            jobs[row["dialogue_id"]] = [
                Job(utt_id, row["dialogue_id"], "train", text, spoken, drawn(voices[row["language"]], params.sft.seed, utt_id))
                for utt_id, text, spoken in _to_speak(row)
            ]
        except CannotRead as error:
            reasons[row["dialogue_id"]] = f"cannot be spoken: {error.reason}"
    every = {voice.name: voice for pool in voices.values() for voice in pool}
    clips = said(params, [job for of in jobs.values() for job in of], list(every.values()), work=work, place=SPOKEN) if jobs else []
    corpus = (row for batch in read_batches(CLEAN_FILE, VERIFIED) for row in batch)
    _, refused = verified(params, [clip for clip in clips if not clip["error"]], corpus, work=work, place=SPOKEN)
    reasons |= {clip["doc_id"]: f"cannot be spoken: {clip['error']}" for clip in clips if clip["error"]}
    reasons |= {clip["doc_id"]: f"clip quarantined: {clip['reason']}" for clip in refused}
    return [_with_clips(row, jobs.get(row["dialogue_id"], []), reasons.get(row["dialogue_id"])) for row in dialogues]


def _clips(dialogue: Dialogue) -> list[str]:
    return [part["utt_id"] for turn in dialogue["turns"] for part in turn["parts"] if part["utt_id"]]


def _to_speak(dialogue: Dialogue) -> Iterator[tuple[str, str, str]]:
    """Yield (utt_id, text, spoken form) of each turn of the user. Raises CannotRead."""
    for number, turn in enumerate(dialogue["turns"]):
        if turn["role"] == "user":
            text = "".join(part["text"] for part in turn["parts"]).strip()
            yield f"{dialogue['dialogue_id']}-{number}", text, spoken_form(text, dialogue["language"])


def _with_clips(dialogue: Dialogue, jobs: list[Job], reason: str | None) -> Dialogue:
    """Return the row with clips in place of the user's texts, and the reason if there is one."""
    clips = iter(jobs)
    turns: list[Turn] = [
        {"role": "user", "parts": [{"text": job.written, "utt_id": job.utt_id, "loss": False}]}
        if turn["role"] == "user" and (job := next(clips, None))
        else turn
        for turn in dialogue["turns"]
    ]
    return dialogue | {"turns": turns, "reason": dialogue["reason"] or reason}


def _has_room(dialogue: Dialogue, processor: InserterProcessor, most: int, *, lengths: Mapping[str, int]) -> str | None:
    """Return why the LM cannot take a conversation, or None. most: positions of the LM."""
    try:
        made = [item for form in dialogue["forms"] for item in examples_of(processor, dialogue, form, lengths=lengths)]
    except (ValueError, TemplateError) as error:  # a template may refuse a system's turn
        return f"chat template: {error}"
    longest = max(item.positions for item in made)
    return f"too long: about {longest:,} positions, and the LM has {most:,}" if longest > most else None


def _reports(p: Sft, dialogues: list[Dialogue]) -> dict[str, SourceReport]:
    """Return the counts by source. Raises InserterError for a source without a usable row."""
    report: dict[str, SourceReport] = {}
    for source in p.sources:
        mine = [row for row in dialogues if row["source"] == source.name]
        kept = [row for row in mine if row["reason"] is None]
        if not kept:
            why = f"row {mine[0]['place']}: {mine[0]['reason']}" if mine else "it has none"
            raise InserterError(
                f"source {source.name}: none of its {len(mine)} rows can be used ({why})",
                "Give rows as docs/TRAINING.md describes them",
            )
        report[source.name] = {
            "rows": len(mine),
            "kept": len(kept),
            "heard": sum("heard" in row["forms"] for row in kept),
            "read": sum("read" in row["forms"] for row in kept),
            "dropped": dict(Counter(row["reason"].split(":")[0] for row in mine if row["reason"])),
        }
    return report
