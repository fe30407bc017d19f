"""Make instruction pairs: a generated prompt and the LM's own answer in writing.

The answer is used as it is or edited. A pair is kept if its answer passes every check.
"""

import json
import re
from collections import Counter

from inserter.files import read_jsonl
from inserter.params import Sft
from inserter.paths import DATA
from inserter.prompts import Prompt, generate, overlap
from inserter.run.work import WorkFolder
from inserter.scoring.ifeval import verdicts
from inserter.tables import Pair
from inserter.text.spoken import CannotRead, spoken_form
from inserter.training.answers import Question, answer_all
from models import InserterForConditionalGeneration, InserterProcessor
from stages.sft.rewrite import rewritten

TEMPERATURE = 0.8  # of the draws after the greedy one
BATCH = 64  # answers at a time: 64 gave 1.5 times the tokens per second of 16


def prompts(p: Sft) -> tuple[list[Prompt], int]:
    """Return the training prompts that do not overlap with the benchmark.

    The second result is the number of prompts that overlap; see `overlap`.
    """
    everything = generate("train", p.seed, count=p.prompts)
    held_out = [row["prompt"] for row in read_jsonl(DATA / "benchmark" / "prompts.jsonl")]
    refused = set(overlap([prompt.prompt for prompt in everything], held_out))
    return [prompt for prompt in everything if prompt.prompt not in refused], len(refused)


def readable(asked: list[Prompt]) -> tuple[list[Prompt], Counter[str]]:
    """Return the prompts that can be read aloud, and how often each reason excluded one."""
    kept: list[Prompt] = []
    refused: Counter[str] = Counter()
    for prompt in asked:
        try:
            spoken_form(prompt.prompt, "en")
            kept.append(prompt)
        except CannotRead as error:
            refused[error.reason] += 1
    return kept, refused


def whole_sentences(processor: InserterProcessor, answer: str, limit: int) -> str:
    """Cut an answer that ran into the limit of tokens after its last whole sentence.

    Otherwise the model would learn to stop inside a word.
    """
    if len(processor.encode(answer)) < limit - 1:
        return answer
    ends = [match.end() for match in re.finditer(r"[.!?][\"”*]*(?=\s)|\n", answer)]
    return answer[: ends[-1]].rstrip() if ends else answer


def answered(
    p: Sft, model: InserterForConditionalGeneration, processor: InserterProcessor, *, asked: list[Prompt], work: WorkFolder
) -> tuple[list[Pair], int, Counter[str]]:
    """Return (pairs, edited, failed).

    pairs: rows of PAIRS whose answer passes all its checks. The greedy answer is taken first, then
    the first passing one of the draws (`sft.samples` answers in all). With `sft.rewrite`, the last
    answer is edited if all fail.
    edited: the number of edited answers.
    failed: the number of prompts without an answer, by the check that failed last.
    """
    kept: dict[str, Pair] = {}
    failed: dict[str, str] = {}
    edited = 0
    for draw in range(p.samples):
        left = [prompt for prompt in asked if prompt.key not in kept]
        questions = [Question(prompt.key, len(prompt.prompt), text=prompt.prompt) for prompt in left]
        name, temperature = (f"self-answers {draw + 1}", TEMPERATURE) if draw else ("self-answers", 0.0)
        answers = answer_all(
            model,
            processor,
            questions,
            work=work,
            name=name,
            max_new_tokens=p.max_new_tokens,
            batch_size=BATCH,
            precision=p.precision,
            temperature=temperature,
            seed=p.seed,
        )
        for prompt in left:
            response = whole_sentences(processor, answers[prompt.key], p.max_new_tokens)
            wrong = _fails(prompt, response)
            if wrong and p.rewrite and draw == p.samples - 1 and (new := rewritten(prompt, response)) and not _fails(prompt, new):
                response, wrong = new, None
                edited += 1
            if wrong:
                failed[prompt.key] = wrong
            else:
                kept[prompt.key] = _pair(prompt, response)
    reasons = Counter(reason for key, reason in failed.items() if key not in kept)
    return [kept[prompt.key] for prompt in asked if prompt.key in kept], edited, reasons


def _fails(prompt: Prompt, response: str) -> str | None:
    """Return the first instruction that is not followed, or None."""
    strict, _ = verdicts(prompt.instruction_id_list, prompt.kwargs, response)
    return None if all(strict) else prompt.instruction_id_list[strict.index(False)]


def _pair(prompt: Prompt, response: str) -> Pair:
    return {
        "pair_id": prompt.key,
        "prompt": prompt.prompt,
        "spoken": spoken_form(prompt.prompt, "en"),
        "utt_id": prompt.key,
        "instruction_id_list": list(prompt.instruction_id_list),
        "kwargs": json.dumps(prompt.kwargs),
        "response": response,
    }
