"""`inserter compare`: compare two models with paired intervals.

The comparison is over the documents and prompts that both were measured on.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypedDict

import numpy as np

from flows.scored import Answers, pairs, read
from inserter import seeds
from inserter.errors import InserterError
from inserter.files import read_table
from inserter.params import load
from inserter.scoring.intervals import CONFIDENCE, RESAMPLES
from inserter.tables import KL, LOSSES

LOSSES_NAME, RESPONSES_NAME = "losses.parquet", "responses.jsonl"
RUN_ID = re.compile(r"[0-9a-f]{32}")
HEARS = ("heard", "cascade")
VOICES = ("seen", "unseen")
REMEDY = (
    "Give a file of answers, a folder with data/evaluate, a losses.parquet or responses.jsonl, a version (3, @champion) or an "
    "MLflow run id"
)
# {(voice, context, content of the document): (summed loss, tokens)}
Losses = dict[tuple[str, str, str], tuple[float, int]]


class Row(TypedDict):
    """One figure of both models."""

    figure: str
    voice: str | None
    unit: str
    a: float
    b: float
    difference: float
    """a less b."""
    low: float | None
    """Of the 95 % interval of the difference."""
    high: float | None
    n: int
    """Documents or prompts that both share."""


class Compared(TypedDict):
    """The comparison of the models `a` and `b`."""

    a: str
    b: str
    rows: list[Row]


def compare(a: str, b: str) -> Compared:
    """Compare two models.

    What both share is resampled for the intervals: documents, or prompts with their variants.

    Raises InserterError if one cannot be found, or if both share nothing.
    """
    sides = [_read(name) for name in (a, b)]
    losses, responses = zip(*sides, strict=True)
    rows: list[Row] = []
    if all(losses):
        rows += [*_gaps(*losses), *_costs(*losses)]
    if all(responses):
        rows += [_row(figure, None, "points", counts=counts) for figure, counts in pairs(*responses)]
    if not rows:
        raise InserterError(
            f"{a} and {b} share no document and no prompt",
            "Evaluate both on the same data. Open-ended and adjustment answers have to be judged first",
        )
    return {"a": a, "b": b, "rows": rows}


def table(found: Compared) -> str:
    """Return the result of `compare` as text, with losses in nats and shares in points."""
    from tabulate import tabulate

    lines = []
    for row in found["rows"]:
        factor, digits = (100, 1) if row["unit"] == "points" else (1, 3)
        values = [f"{factor * value:.{digits}f}" for value in (row["a"], row["b"])]
        low, high = row["low"], row["high"]
        ends = "" if low is None or high is None else f" [{factor * low:+.{digits}f}, {factor * high:+.{digits}f}]"
        difference = f"{factor * row['difference']:+.{digits}f}{ends}"
        lines.append([row["figure"], row["voice"] or "", row["unit"], *values, difference, str(row["n"])])
    header = ["figure", "voice", "unit", "A", "B", "A − B [95 %]", "shared"]
    align = ["left"] * 3 + ["right"] * 4
    shown = tabulate(lines, header, colalign=align, disable_numparse=True)
    return f"A: {found['a']}\nB: {found['b']}\n\n{shown}"


def _read(name: str) -> tuple[Losses, Answers]:
    """Return losses by document and scored answers of one side; empty if it has none."""
    path = Path(name)
    if path.is_file() and path.suffix == ".parquet":
        return _losses(path), {}
    if path.is_file() and path.name != "evaluate.json":
        return {}, _answers(path)
    folder = _folder(path) if path.exists() else _downloaded(name)
    files = folder / LOSSES_NAME, folder / RESPONSES_NAME
    if not any(file.exists() for file in files):
        raise InserterError(f"{name} has neither {LOSSES_NAME} nor {RESPONSES_NAME}", REMEDY)
    return _losses(files[0]) if files[0].exists() else {}, _answers(files[1]) if files[1].exists() else {}


def _folder(path: Path) -> Path:
    """Return the folder of the results.

    path: that folder, a workspace, or a file (the workspace's report).
    """
    if path.is_file():  # reports/evaluate.json
        return path.parent if (path.parent / LOSSES_NAME).exists() else path.resolve().parent.parent / "data" / "evaluate"
    within = (path / "data" / "evaluate", path / "evaluate")
    return next((folder for folder in within if folder.is_dir()), path)


def _downloaded(name: str) -> Path:
    """Return the folder of a run's artifacts.

    name: the run's id, or a version: 3, @champion, models:/NAME/3 or models:/NAME@champion.
    """
    from mlflow.exceptions import MlflowException

    from inserter.registry.place import local_file
    from inserter.registry.tracking import RESPONSES, connect

    register = load().register_
    version = re.fullmatch(r"(?:models:/(?P<model>[^@/]+))?(?:(?:^|/)(?P<number>\d+)|@(?P<alias>[\w.-]+))", name)
    if not version and not RUN_ID.fullmatch(name):
        raise InserterError(f"{name} is not a file, a version or a run", REMEDY)
    local = local_file(register)
    if local and not local.exists():
        raise InserterError(f"{name}: the registry {local} does not exist", REMEDY)
    try:
        client = connect(register)
        run_id: str | None = name
        if version:
            model = version["model"] or register.model
            found = (
                client.get_model_version(model, version["number"])
                if version["number"]
                else client.get_model_version_by_alias(model, version["alias"])
            )
            run_id = found.run_id
        return Path(client.download_artifacts(run_id or "", RESPONSES.partition("/")[0]))
    except (MlflowException, OSError) as error:
        raise InserterError(f"{name} cannot be read ({' '.join(str(error).split())[:200]})", REMEDY) from error


def _losses(path: Path) -> Losses:
    try:
        rows = read_table(path, LOSSES)
        return {(row["voice"], row["context"], row["content"]): (row["loss"], row["tokens"]) for row in rows}
    except (OSError, ValueError, KeyError) as error:
        raise InserterError(f"{path} has no losses by document ({error})", "Run `dvc repro -f evaluate`") from error


def _answers(path: Path) -> Answers:
    try:
        return read(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InserterError(f"{path} has no scored answers ({error})", "Run `dvc repro -f evaluate`") from error


def _shared(one: Losses, other: Losses, wanted: Iterable[tuple[str, str]]) -> list[str]:
    """Return the documents that both have in each (voice, context) wanted."""
    sets = [{content for v, c, content in side if (v, c) == place} for side in (one, other) for place in wanted]
    return sorted(set.intersection(*sets))


def _gaps(one: Losses, other: Losses) -> Iterator[Row]:
    """Yield the gap that hearing and the cascade close, by voice.

    What is read is the same for both voices.
    """
    for how in HEARS:
        for voice in VOICES:
            names = [(voice, f"{how}_other"), (voice, f"{how}_own"), ("seen", "read_other"), ("seen", "read_own")]
            shared = _shared(one, other, names)
            values = np.array([[side[v, c, doc][0] for side in (one, other) for v, c in names] for doc in shared])
            if len(shared):
                # Columns: `how` and read of one side, then of the other.
                gains = values[:, 0::2] - values[:, 1::2]
                if (gains.sum(0)[[1, 3]] > 0).all():
                    yield _row(f"gap closed, {how}", voice, "", counts=gains)


def _costs(one: Losses, other: Losses) -> Iterator[Row]:
    """Yield KL, and the loss per token after the document's own context or none.

    Only documents that both cut into the same number of tokens count.
    """
    places = [(voice, f"{how}_own") for how in HEARS for voice in VOICES] + [("seen", "read_own"), ("seen", "absent")]
    for voice, context in [*places, *((voice, KL) for voice in VOICES)]:
        found = [
            (*one[voice, context, doc], *other[voice, context, doc])
            for doc in _shared(one, other, [(voice, context)])
            if one[voice, context, doc][1] == other[voice, context, doc][1]
        ]
        if found:
            name = "KL(read || heard)" if context == KL else f"loss, {context.replace('_', ' ')}"
            yield _row(name, None if context in ("read_own", "absent") else voice, "nats", counts=np.array(found, dtype=float))


def _row(figure: str, voice: str | None, unit: str, *, counts: np.ndarray) -> Row:
    """Return one row of the comparison.

    counts: (shared, 4), the numerator and the denominator of one side's share, then of the other's.
    """
    share: Callable[[np.ndarray], np.ndarray] = lambda sums: sums[..., 0::2] / sums[..., 1::2]  # noqa: E731
    a, b = share(counts.sum(0)).tolist()
    low, high = _interval(counts, share, figure, voice or "")
    return {
        "figure": figure,
        "voice": voice,
        "unit": unit,
        "a": a,
        "b": b,
        "difference": a - b,
        "low": low,
        "high": high,
        "n": len(counts),
    }


def _interval(counts: np.ndarray, share: Callable[[np.ndarray], np.ndarray], *names: str) -> tuple[float | None, float | None]:
    """Return the 95 % interval of the difference of two shares over the same rows.

    The interval is a percentile bootstrap. Both ends are None for fewer than two rows.
    """
    if len(counts) < 2:
        return None, None
    rng = seeds.np_rng(0, "compare", *names)
    sums = np.array([counts[rng.integers(0, len(counts), len(counts))].sum(0) for _ in range(RESAMPLES)])
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = share(sums)
    low, high = np.quantile(shares[:, 0] - shares[:, 1], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return (float(low), float(high)) if np.isfinite([low, high]).all() else (None, None)
