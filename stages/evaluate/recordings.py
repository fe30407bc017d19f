"""Measure word errors on recordings of people (`evaluate.recordings`).

The word errors of what the model hears stand beside those of the recogniser. Synthetic voices are
kept apart. A clip that cannot be used is refused with a reason and counted.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from inserter.assets import asr_folder
from inserter.evaluation import Recordings, Spoken, WordErrors
from inserter.files import fingerprint, read_json, write_json, write_jsonl
from inserter.params import Evaluate, Params
from inserter.run.closure import deciding
from inserter.run.executor import ordered_map
from inserter.run.runner import say
from inserter.run.work import WorkFolder
from inserter.scoring.closed import score_record
from inserter.scoring.intervals import share_interval
from inserter.scoring.records import Row
from inserter.scoring.scores import closed_table
from inserter.tables import ISO_639
from inserter.training.answers import Question, answer_all
from inserter.training.models import for_answers
from inserter.training.processes import barrier, main_first, my_share, rank
from inserter.verification.words import compare
from models import InserterForConditionalGeneration, InserterProcessor
from models.adapter import ProjectionAdapter
from stages.evaluate import people
from stages.evaluate.people import Found, Recording
from stages.evaluate.recogniser import RecordingTask, spoken_words, transcribe_recordings, wave_of

BLOCK = 32  # clips per file of unfinished work


def find(settings: Evaluate) -> Found | None:
    """Find the recordings that `evaluate.recordings` names; return None if it is null.

    A recording that names no language counts as one in the first of `evaluate.languages`.
    """
    if settings.recordings is None:
        return None
    language = settings.languages[0] if settings.languages else "en"
    return people.find(settings.recordings, ISO_639.get(language, language))


def measure(
    params: Params, model: InserterForConditionalGeneration, processor: InserterProcessor, *, found: Found | None, work: WorkFolder
) -> Recordings | None:
    """Return the key `recordings` of reports/evaluate.json, or None without recordings.

    Rank 0 leaves each clip's row in `work/out`, to be published. The counts satisfy clips + refused
    = found.
    word_errors: errors over words of the transcripts, with 95 % intervals by clip. `heard` is None
    for an adapter that spells nothing. `difference` is heard - asr on the same clips.
    answers: only of records with instructions.
    """
    tables = work / "out" / "recordings.jsonl", work / "out" / "recordings_refused.jsonl"
    if found is None:
        for table in tables if rank() == 0 else ():  # left by an earlier attempt that had the key
            table.unlink(missing_ok=True)
        return None
    rows, refused = _written(found.recordings, asr_folder(params.assets.asr), work)
    refused = [*found.refused, *refused]
    _hear(params.evaluate, model, processor, rows=rows, work=work)
    answers = _answers(params.evaluate, model, processor, rows=[row for row in rows if row["instruction_id_list"]], work=work)
    languages = sorted({row["language"] for row in rows})
    result: Recordings = {
        "path": params.evaluate.recordings,
        "found": len(rows) + len(refused),
        "refused": dict(sorted(Counter(row["reason"] for row in refused).items())),
        **_table(rows),
        "languages": {lang: _table([row for row in rows if row["language"] == lang]) for lang in languages},
        "answers": closed_table(answers) if answers else None,
    }
    if rank() == 0:
        write_jsonl(tables[0], ({k: v for k, v in row.items() if k != "recording"} for row in rows))
        write_jsonl(tables[1], refused)
        say(_summary(result))
    return result


def _written(recordings: list[Recording], asr: Path, work: WorkFolder) -> tuple[list[Row], list[Row]]:
    """Return one row per clip with the recogniser's transcript, and the clips that cannot be used.

    Finished blocks are not heard again. Rank 0 hears; the other ranks read what it wrote.
    """
    tasks = [RecordingTask(work / "recordings" / f"asr-{_key(block)}.json", block, asr) for block in _blocks(recordings)]
    rows: list[Row] = []
    refused: list[Row] = []
    with main_first(), tqdm(total=len(recordings), desc="recordings", unit="clip", disable=rank() > 0) as bar:
        for task, found in zip(tasks, ordered_map(transcribe_recordings, tasks, 0 if rank() == 0 else 1), strict=True):
            for recording, one in zip(task.recordings, found, strict=True):
                if "reason" in one:
                    refused.append({"id": recording.id, **one})
                else:
                    rows.append(_row(recording, one))
            bar.update(len(found))
    return rows, refused


def _row(recording: Recording, one: Row) -> Row:
    reference = spoken_words(recording.text, recording.language)
    return {
        "id": recording.id,
        "language": recording.language,
        "seconds": one["seconds"],
        "transcript": recording.text,
        "heard": None,
        "asr": one["asr"],
        "words": len(reference),
        "heard_errors": None,
        "asr_errors": _errors(recording, one["asr"]),
        "instruction_id_list": recording.instruction_id_list,
        "kwargs": recording.kwargs,
        "recording": recording,
    }


def _errors(recording: Recording, heard: str) -> int:
    """Count word errors; in Chinese and Japanese, errors of characters."""
    reference = spoken_words(recording.text, recording.language)
    return round(compare(reference, spoken_words(heard, recording.language)).wer * len(reference))


def _blocks(recordings: list[Recording]) -> list[list[Recording]]:
    languages: dict[str, list[Recording]] = {}
    for recording in recordings:
        languages.setdefault(recording.language, []).append(recording)
    return [group[at : at + BLOCK] for group in languages.values() for at in range(0, len(group), BLOCK)]


def _key(block: list[Recording]) -> str:
    """Return the key of a block's unfinished work.

    Audio is not hashed. A file counts as changed if its size or its modification time has changed.
    """
    stamps = []
    for recording in block:
        file = recording.sound if isinstance(recording.sound, Path) else recording.sound.file
        about = file.stat()
        stamps.append([recording.id, str(recording.sound), recording.text, recording.language, about.st_size, about.st_mtime_ns])
    return fingerprint(stamps, files=deciding("stages.evaluate.recordings"))


def _hear(
    settings: Evaluate, model: InserterForConditionalGeneration, processor: InserterProcessor, *, rows: list[Row], work: WorkFolder
) -> None:
    """Fill in `heard` and `heard_errors`, if the adapter spells. The ranks share out the blocks."""
    if isinstance(model.adapter, ProjectionAdapter):
        return
    model.eval()
    by_id = {row["id"]: row for row in rows}
    blocks = [(work / "recordings" / f"heard-{_key(block)}.json", block) for block in _blocks([row["recording"] for row in rows])]
    for path, block in tqdm(my_share(blocks), desc="recordings: model", unit="block", disable=rank() > 0):
        if not path.exists():
            write_json(path, [_spelled(settings, model, processor, recording=recording) for recording in block])
    barrier()
    for path, block in blocks:
        for recording, text in zip(block, read_json(path), strict=True):
            by_id[recording.id].update(heard=text, heard_errors=_errors(recording, text))


def _states(
    settings: Evaluate, model: InserterForConditionalGeneration, processor: InserterProcessor, *, recording: Recording
) -> torch.Tensor:
    """Return the adapter's input for a clip (n, width): its windows, one after the other."""
    given = processor.features([wave_of(recording)])
    part = [given["input_features"].to(model.device), given["feature_lengths"].to(model.device)]
    with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
        states, lengths = model.encode(*part)
    return torch.cat([window[:n].float() for window, n in zip(states, lengths.tolist(), strict=True)])


def _spelled(
    settings: Evaluate, model: InserterForConditionalGeneration, processor: InserterProcessor, *, recording: Recording
) -> str:
    assert not isinstance(model.adapter, ProjectionAdapter)  # which spells nothing
    states = _states(settings, model, processor, recording=recording)
    with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
        (tokens,) = model.adapter.spell(states[None], torch.tensor([len(states)], device=states.device), model.table)
    return str(processor.tokenizer.decode(tokens)).strip()


def _answers(
    settings: Evaluate, model: InserterForConditionalGeneration, processor: InserterProcessor, *, rows: list[Row], work: WorkFolder
) -> list[Row]:
    """Return one row per clip and form with the verdicts on the answer.

    In the form `read` the model reads the transcript.
    """
    if not rows:
        return []
    forms = {
        "heard": [_question(settings, model, processor, row=row) for row in rows],
        "read": [Question(row["id"], len(row["transcript"]), text=row["transcript"]) for row in rows],
    }
    scored = []
    for form, questions in forms.items():
        name = f"answers recordings {form}"
        net = for_answers(model, settings.precision)
        answers = answer_all(
            net,
            processor,
            questions,
            work=work,
            name=name,
            max_new_tokens=settings.max_new_tokens,
            batch_size=settings.batch_size,
            precision=settings.precision,
        )
        for row in rows:
            answer = {name: row[name] for name in ("instruction_id_list", "kwargs")} | {
                "id": row["id"],
                "key": row["id"],
                "lang": row["language"],
                "variant": "recordings",
                "form": form,
                "prompt": row["transcript"],
                "response": answers[row["id"]],
            }
            verdict = score_record(answer)
            scored.append(answer | {name: verdict.get(name) for name in ("strict", "loose", "error")})
            row[f"{form}_answer"] = answers[row["id"]]
    return scored


def _question(settings: Evaluate, model: InserterForConditionalGeneration, processor: InserterProcessor, *, row: Row) -> Question:
    return Question(row["id"], row["seconds"] * 16, states=lambda: _states(settings, model, processor, recording=row["recording"]))


def _table(rows: list[Row]) -> Spoken:
    """Return the clips, hours, words and word errors of `rows`."""
    names = {form: f"{form}_errors" for form in ("heard", "asr")}
    errors = {form: np.array([row[name] for row in rows if row[name] is not None]) for form, name in names.items()}
    asked = np.array([row["words"] for row in rows], dtype=float)
    both = len(rows) > 0 and len(errors["heard"]) == len(rows)
    return {
        "clips": len(rows),
        "hours": sum(row["seconds"] for row in rows) / 3600,
        "words": int(asked.sum()),
        "word_errors": {
            "heard": _cell(errors["heard"], asked, "heard") if both else None,
            "asr": _cell(errors["asr"], asked, "asr") if rows else None,
            "difference": _cell(errors["heard"] - errors["asr"], asked, "difference") if both else None,
        },
    }


def _cell(errors: np.ndarray, asked: np.ndarray, name: str) -> WordErrors:
    """Return the errors, their share of the words (it may exceed 1), and its interval."""
    interval = share_interval(errors, asked, "recordings", name)
    return {"errors": int(errors.sum()), "share": float(errors.sum() / asked.sum()), "interval": interval}


def _summary(result: Recordings) -> str:
    heard, asr = (
        f"{100 * cell['share']:.1f} %" if cell else "not measured"
        for cell in (result["word_errors"]["heard"], result["word_errors"]["asr"])
    )
    refused = sum(result["refused"].values())
    return (
        f"evaluate: {result['clips']} recordings of people ({result['hours']:.2f} h, {refused} refused): word errors of what the "
        f"model hears {heard}, of the recogniser {asr}"
    )
