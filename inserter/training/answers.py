"""Answer many prompts, in batches of similar length, which the ranks share out.

A killed run that is started again keeps its finished batches.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from inserter.files import read_json, write_json
from inserter.run.work import WorkFolder
from inserter.seeds import derive
from inserter.training.processes import barrier, my_share, rank
from models import InserterForConditionalGeneration, InserterProcessor
from models.generation import Prompt, generate_answers


@dataclass(frozen=True)
class Question:
    """One prompt: a text to read, or a clip to hear."""

    id: str
    length: float
    """Prompts of similar length share a batch: characters of a text, seconds × 16 of a clip."""

    text: str | None = None
    states: Callable[[], Tensor] | None = None
    """Returns what the encoder says of the clip, (frames, width)."""


def answer_all(
    model: InserterForConditionalGeneration,
    processor: InserterProcessor,
    questions: list[Question],
    *,
    work: WorkFolder,
    name: str,
    max_new_tokens: int,
    batch_size: int,
    precision: str,
    temperature: float = 0.0,
    seed: int = 0,
) -> dict[str, str]:
    """Return {id: answer}, greedy at a temperature of 0, else drawn with `seed`.

    Clips are read batch by batch. The answers of each batch are kept in `work/NAME/`, on a file
    system that all ranks see. Every rank needs the whole model, answers every world-th batch, and
    gets all answers. All ranks have to call this function. The batches do not depend on the number
    of ranks.
    """
    ordered = sorted(questions, key=lambda q: (q.length, q.id))
    starts = range(0, len(ordered), batch_size)
    paths = {start: work / name / f"batch-{start // batch_size:05d}.json" for start in starts}
    mine = {start: ordered[start : start + batch_size] for start in my_share(starts)}
    with tqdm(total=sum(map(len, mine.values())), desc=name, unit="answer", disable=rank() > 0) as bar:
        for start, batch in mine.items():
            if not _holds(paths[start], batch):
                prompts = [Prompt(q.text, states=q.states() if q.states else None) for q in batch]
                made = generate_answers(
                    model,
                    processor,
                    prompts,
                    max_new_tokens=max_new_tokens,
                    batch_size=batch_size,
                    precision=precision,
                    temperature=temperature,
                    seed=derive(seed, name, start),
                )
                write_json(paths[start], {q.id: a for q, a in zip(batch, made, strict=True)})
            bar.update(len(batch))
    barrier()
    return {key: answer for path in paths.values() for key, answer in read_json(path).items()}


def _holds(path: Path, batch: list[Question]) -> bool:
    """Return whether the file has the answers of this batch.

    An earlier attempt's file has other questions if something decides anew what is asked.
    """
    return path.exists() and set(read_json(path)) == {question.id for question in batch}
