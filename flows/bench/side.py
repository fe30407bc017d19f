"""Run one side of a comparison with an earlier commit: `python -P side.py WORK INPUTS`.

The script runs in the folder of that side's code. It imports only what the earlier commit has too,
under the name that it had there. The script loads once. Then each line of standard input starts a
round of the work, and a line of JSON reports what the round made. INPUTS is a JSON file that both
sides read.
"""

import json
import os
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

Round = Callable[[], Sequence[object] | dict[str, object]]
FRAMES_A_WORD = 20  # encoder frames of a spoken word: 0.4 s
BEFORE = {  # modules of today: the names that they had before the package `inserter`
    "inserter.audio.clips": "stages.common.audio",
    "inserter.params": "stages.common.params",
    "inserter.run.work": "stages.common.work",
    "inserter.training.batches": "stages.common.training.batches",
    "inserter.training.loop": "stages.common.training.loop",
    "inserter.training.models": "stages.common.training.models",
    "inserter.tts": "stages.common.tts",
    "inserter.verification.asr": "stages.common.asr",
    "inserter.verification.hear": "stages.common.verification.hear",
    "inserter.verification.measure": "stages.common.verification.measure",
}


def module(name: str) -> ModuleType:
    """Return the module `name` of this side's commit."""
    return import_module(name if Path("inserter").is_dir() else BEFORE[name])


def verify(inputs: dict[str, Any]) -> Round:
    """Return a round that measures all clips of `rows` with one thread.

    A process of the stage has one thread, too. The round makes the words heard of each clip.
    """
    transcriber, ears_of = module("inserter.verification.asr").Transcriber, module("inserter.verification.hear").Ears
    measure = module("inserter.verification.measure").measure

    first, second = inputs["recognisers"]

    @cache
    def ears(language: str) -> object:
        other = transcriber(Path(second), language) if second else None
        return ears_of(transcriber(Path(first), language), other, inputs["band"])

    return lambda: [row["heard"] for row in measure(inputs["rows"], Path(inputs["clips"]), ears)]


def answers(inputs: dict[str, Any]) -> Round:
    """Return a round that answers all prompts greedily, at the precision that this side chooses.

    The LM reads the prompts, so the adapter does nothing.
    """
    from models.generation import Prompt, generate_answers

    params, models = module("inserter.params"), module("inserter.training.models")
    own = params.load()
    model, processor = models.new_model(params.Assets(**inputs["assets"]), own.warmup.adapter, 0)
    models.for_answers(model, own.evaluate.precision)
    prompts = [Prompt(text=text) for text in inputs["prompts"]]
    settings = {name: inputs[name] for name in ("max_new_tokens", "batch_size")}
    return lambda: generate_answers(model, processor, prompts, **settings, precision=own.evaluate.precision)


def pretrain(inputs: dict[str, Any]) -> Round:
    """Return a round of pre-training steps on the CPU, as this side's params.yaml and code train.

    The learning rates are 0, because a soft_token adapter that learns from noise hears ever less or
    more. The round makes the positions and the learnt tokens of its steps, and how they were
    trained.
    """
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    params, models = module("inserter.params"), module("inserter.training.models")
    batches, loop, work = (module(f"inserter.{name}") for name in ("training.batches", "training.loop", "run.work"))

    own = params.load()
    around = {"delimiters": own.model.delimiters} if hasattr(own, "model") else {}
    model, processor = models.new_model(params.Assets(**inputs["assets"]), own.warmup.adapter, 0, **around)
    still = own.pretrain.optimizer.model_copy(update=dict.fromkeys(("adapter_lr", "lm_lr"), 0.0))
    update = {"steps": inputs["steps"], "checkpoint_steps": inputs["steps"], "optimizer": still}
    settings = own.pretrain.model_copy(update=update | {"precision": inputs["precision"] or own.pretrain.precision})
    mapped = Path("inserter/training/tokens.py").is_file()
    example = module("inserter.training.examples").example if mapped else batches.example
    examples = [example(processor, row["parts"], row["kind"] == "transcribe") for row in inputs["rows"]]
    if mapped:
        examples = module("inserter.training.tokens").Tokens.of(examples)
    phase = batches.packed_phase("bench", settings, model, examples=examples, clips=noise(model, processor, inputs["spoken"]))

    how = f"{model.config.adapter} in {settings.precision}"

    def steps_once() -> dict[str, object]:
        done = loop.train(model, phase, work.WorkFolder("bench", {})).summary()
        return {"positions": done["positions"], "tokens": done["tokens_learnt"], "how": how}

    return steps_once


def noise(model: Any, processor: Any, spoken: dict[str, str]) -> "dict[str, Tensor]":
    """Return what a frozen encoder would say of clips, by clip: noise of the right size.

    spoken: the text of each clip.

    With the adapter `decoder`, a clip has a row for each token of its text. Else it has a row for
    each encoder frame. An adapter `soft_token` is set to hear as many tokens as the texts have.
    """
    import torch

    torch.manual_seed(1)
    width = model.config.audio_config.d_model
    tokens = {name: processor.tokenizer(" " + text, add_special_tokens=False)["input_ids"] for name, text in spoken.items()}
    if model.config.adapter == "decoder":
        from models.ear import as_rows

        return {name: as_rows(ids, torch.randn(len(ids), width), _as_they_are) for name, ids in tokens.items()}
    frames = {name: torch.randn(FRAMES_A_WORD * len(text.split()), width) for name, text in spoken.items()}
    if model.config.adapter == "soft_token":
        _hear_as_many(model, list(frames.values()), sum(map(len, tokens.values())))
    return frames


def _as_they_are(ids: list[int]) -> tuple[list[int], list[list[int]]]:
    return ids, [[place] for place in range(len(ids))]


def _hear_as_many(model: Any, clips: "list[Tensor]", tokens: int) -> None:
    """Set the blank of a soft_token adapter so that its clips have about `tokens` positions.

    clips: (frames, width) each.

    After a warm-up a clip has about as many positions as tokens. A random adapter drops no frame.
    """
    import torch

    margins = []
    with torch.no_grad():
        directions = model.adapter.directions(model.table)
        for clip in clips:
            scores, blank = model.adapter.scores(model.adapter.hidden(clip[None], torch.tensor([len(clip)]))[0], directions)
            margins.append(scores.amax(-1) - blank[:, 0])
        best = torch.cat(margins)
        model.adapter.blank.bias += best.quantile(max(0.0, 1 - tokens / len(best)))


def read_sequential(inputs: dict[str, Any]) -> Round:
    """Return a round that reads all clips of a shard from start to end, `passes` times."""
    clips, out, rows = _spoken(inputs)
    (shard,) = {str(out / row["shard"]) for row in rows}

    def passes() -> list[int]:
        for _ in range(inputs["passes"]):
            found = [len(data) for _, data in clips.stream_shard(shard)]
        return found

    return passes


def read_random(inputs: dict[str, Any]) -> Round:
    """Return a round that reads all clips of a shard in random order, `passes` times."""
    clips, out, rows = _spoken(inputs)
    random.Random(0).shuffle(rows)

    def passes() -> list[int]:
        for _ in range(inputs["passes"]):
            found = [len(clips.read_clip_bytes(out, row)) for row in rows]
        return found

    return passes


def _spoken(inputs: dict[str, Any]) -> tuple[ModuleType, Path, list[dict[str, Any]]]:
    """Return this side's reader of clips, and a folder beside INPUTS of a shard with its rows."""
    tts, voice = module("inserter.tts"), module("inserter.params").Voice(name="heart", engine="hibari", voice="heart")
    texts = inputs["texts"]
    spoken = [texts[number % len(texts)] for number in range(inputs["clips"])]
    jobs = [tts.Job(f"u-{number:03d}", "d", "train", text, text, "heart") for number, text in enumerate(spoken)]
    folder = Path(tempfile.mkdtemp(dir=Path(sys.argv[2]).parent))
    return module("inserter.audio.clips"), folder, tts.speak_all(jobs, [voice], folder, rows=folder / "rows", workers=1)


WORKS = {
    "verify": verify,
    "answers": answers,
    "pretrain": pretrain,
    "read_sequential": read_sequential,
    "read_random": read_random,
}


def main() -> None:
    results, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no result
    # An editable installation would give a side modules that its commit lacks.
    sys.meta_path[:] = [finder for finder in sys.meta_path if not finder.__module__.startswith("__editable__")]
    work, inputs = sys.argv[1:]
    work_once = WORKS[work](json.loads(Path(inputs).read_text(encoding="utf-8")))
    for _ in sys.stdin:
        print(json.dumps(work_once()), file=results, flush=True)


if __name__ == "__main__":
    main()
