"""Answers to many prompts, in batches of like length; killed and run again, the finished batches are not made again."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from inserter.files import read_json, write_json
from inserter.run.work import WorkFolder
from inserter.seeds import derive
from models import InserterForConditionalGeneration, InserterProcessor
from models.generation import Prompt, generate_answers


@dataclass(frozen=True)
class Question:
    """One prompt: text to read, or a clip to hear: what the encoder says of it. length: characters; a clip's seconds x 16."""

    id: str
    length: float
    text: str | None = None
    states: Callable[[], Tensor] | None = None


def answer_all(
    model: InserterForConditionalGeneration,
    processor: InserterProcessor,
    questions: list[Question],
    work: WorkFolder,
    name: str,
    max_new_tokens: int,
    batch_size: int,
    precision: str,
    temperature: float = 0.0,
    seed: int = 0,
) -> dict[str, str]:
    """{id: answer}, greedy at a temperature of 0, else drawn with `seed`. Clips are read batch by batch.

    The batches are kept in `work/NAME/`.
    """
    ordered = sorted(questions, key=lambda q: (q.length, q.id))
    answers: dict[str, str] = {}
    with tqdm(total=len(ordered), desc=name, unit="answer") as bar:
        for start in range(0, len(ordered), batch_size):
            batch = ordered[start : start + batch_size]
            path = work / name / f"batch-{start // batch_size:05d}.json"
            if not _holds(path, batch):
                prompts = [Prompt(q.text, states=q.states() if q.states else None) for q in batch]
                made = generate_answers(
                    model,
                    processor,
                    prompts,
                    max_new_tokens,
                    batch_size,
                    precision,
                    temperature=temperature,
                    seed=derive(seed, name, start),
                )
                write_json(path, {q.id: a for q, a in zip(batch, made, strict=True)})
            answers |= read_json(path)
            bar.update(len(batch))
    return answers


def _holds(path: Path, batch: list[Question]) -> bool:
    """An earlier attempt's batch is of other questions where something decides anew what is asked."""
    return path.exists() and set(read_json(path)) == {question.id for question in batch}
