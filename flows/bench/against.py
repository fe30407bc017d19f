"""Entries against an earlier commit: this checkout, as it stands, against that commit.

The entries are `verify`, `answers`, `train_cpu`, `read_sequential` and `read_random`.

Both sides have the same inputs. BENCH_AGAINST names the commit. Its files lie in a temporary folder
during the run. Each side is a process of its own (`side.py`), which loads once and then works by
turns with the other. Both sides use the environment and the models of this checkout. So the ratio
shows what changed in the project's code, not in its packages.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.ablate.copies import git
from flows.bench.compare import Entry, compare
from inserter.errors import InserterError
from inserter.params import Assets, load
from inserter.paths import DATA

if TYPE_CHECKING:
    from inserter.tables import Utterance

EARLIER = "b8c1b19"
CLIPS = 96
PROMPTS = 64
STEPS = 4
SPOKEN = 256  # clips of one shard, which both sides read
PASSES = 20  # over that shard in a round
PAIRS = 3
SIDE = Path(__file__).with_name("side.py")
REMEDY = "Run `git fetch --unshallow` if the clone is shallow, or name another commit with BENCH_AGAINST=COMMIT"


def verify() -> Entry:
    """Measure the clips per second of the stage `verify`.

    The clips are the first ones of data/synthesize that have audio. Checks that were added since
    count as time of this checkout. A result is what the recognisers heard of a clip.
    """
    from inserter.verification.blocks import listeners_of

    clips, listeners = DATA / "synthesize", listeners_of(load())
    rows = _spoken(clips / "utterances.parquet")
    folders = [folder and str(folder.resolve()) for folder in (listeners.first, listeners.second)]
    inputs = {"rows": rows, "clips": str(clips.resolve()), "recognisers": folders, "band": listeners.band}
    return _equal(*_by_turns("verify", inputs, f"{len(rows)} clips"))


def answers() -> Entry:
    """Measure the answers per second of the stages `evaluate` and `sft`.

    The LM before training reads prompts of the benchmark. A model that was trained now need not
    load at an earlier commit. A result is an answer. Each side chooses its precision, so the
    answers differ where one computes in bf16.
    """
    from inserter.prompts import generate

    params = load()
    e = params.evaluate
    inputs = {
        "assets": _folders(params.assets),
        "prompts": [prompt.prompt for prompt in generate("benchmark", 1, per_type=3)[:PROMPTS]],
        "max_new_tokens": e.max_new_tokens,
        "batch_size": e.batch_size,
    }
    return _equal(*_by_turns("answers", inputs, f"{PROMPTS} prompts"))


def train_cpu() -> Entry:
    """Measure the positions per second of pre-training steps on the CPU.

    Each side trains by its own params.yaml: its adapter, its delimiters, its precision. Both get
    the same sequences of the default mixture, and noise in place of the encoder's states. Each side
    deals the sequences into steps by its own plan. BENCH_PRECISION (bf16 or fp32) gives both sides
    one precision. `tokens` is the ratio of learnt tokens per second.
    """
    from flows.bench.train import sequences

    params = load()
    rows, spoken = sequences(params)
    precision = os.environ.get("BENCH_PRECISION")
    if precision not in {None, "", "bf16", "fp32"}:
        raise InserterError(f"BENCH_PRECISION={precision} is not a precision", "Set it to bf16 or fp32, or leave it out")
    inputs = {"assets": _folders(params.assets), "rows": rows, "spoken": spoken, "steps": STEPS, "precision": precision}
    entry, ours, theirs = _by_turns("train_cpu", inputs, f"{len(rows)} sequences", work="pretrain")
    more, learnt = (ours.made[name] / theirs.made[name] for name in ("positions", "tokens"))
    return {
        "name": entry["name"],
        "ratio": entry["ratio"] * more,
        "low": entry["low"] * more,
        "high": entry["high"] * more,
        "against": f"the positions per second of {entry['against']}: here {ours.made['how']}, there {theirs.made['how']}",
        "tokens": entry["ratio"] * learnt,
    }


def read_sequential() -> Entry:
    """Measure the clips per second of `stream_shard`. A result is the bytes of a clip.

    Each side speaks the clips and writes them in the layout of its commit. No clip has an effect,
    so an earlier layout has no originals between the clips, which a reader would have to skip.
    """
    return _reading("read_sequential")


def read_random() -> Entry:
    """Measure the clips per second of `read_clip_bytes`, in random order, as `read_sequential`."""
    return _reading("read_random")


def _reading(name: str) -> Entry:
    from flows.bench.verify import TEXT

    return _equal(*_by_turns(name, {"texts": TEXT, "clips": SPOKEN, "passes": PASSES}, f"{SPOKEN} clips"))


def _folders(assets: Assets) -> dict[str, str]:
    from inserter.assets import asr_folder, encoder_folder, lm_folder

    folders = {"lm": lm_folder(assets.lm), "encoder": encoder_folder(assets.encoder), "asr": asr_folder(assets.asr)}
    return {name: str(folder.resolve()) for name, folder in folders.items()}


def _spoken(table: Path) -> "list[Utterance]":
    from inserter.files import read_batches
    from inserter.tables import UTTERANCES

    batches = read_batches(table, UTTERANCES) if table.is_file() else iter(())
    rows = [row for row in next(batches, []) if row["error"] is None][:CLIPS]
    if not rows:
        raise InserterError(f"there are no clips in {table.parent}", "Run `make run` first")
    return rows


def _by_turns(name: str, inputs: Mapping[str, object], what: str, *, work: str | None = None) -> tuple[Entry, "_Side", "_Side"]:
    """Return the entry and both sides, this checkout's first, with what their last rounds made.

    work: the sides' work in side.py; None: `name`.
    """
    commit = os.environ.get("BENCH_AGAINST") or EARLIER
    with tempfile.TemporaryDirectory(prefix="inserter-bench-") as folder:
        path, earlier = Path(folder, "inputs.json"), Path(folder, "earlier")
        short = _take(commit, earlier)
        path.write_text(json.dumps(inputs), encoding="utf-8")
        with (
            _side("this checkout", Path.cwd(), work or name, inputs=path) as ours,
            _side(f"commit {short}", earlier, work or name, inputs=path) as theirs,
        ):
            entry = compare(name, ours.round, theirs.round, against=f"commit {short} on the same {what}", pairs=PAIRS)
    return entry, ours, theirs


def _equal(entry: Entry, ours: "_Side", theirs: "_Side") -> Entry:
    """Return the entry with how many results of a round are equal."""
    pairs = list(zip(ours.made, theirs.made, strict=True))
    return {**entry, "equal": sum(a == b for a, b in pairs), "of": len(pairs)}


def _take(commit: str, folder: Path) -> str:
    """Write the files of `commit` into `folder`, and return its short name.

    The files come from an archive, since a worktree would outlive a killed run.
    """
    archive = folder.with_suffix(".zip")
    git("archive", "--output", str(archive), commit, remedy=REMEDY)
    shutil.unpack_archive(archive, folder)
    return git("rev-parse", "--short", f"{commit}^{{commit}}")


class _Side:
    """A process that works in `folder`, with the code there.

    The process's standard error goes to a file beside the inputs.
    """

    def __init__(self, label: str, folder: Path, work: str, *, inputs: Path) -> None:
        self.label = label
        self.made: Any = None
        self.log = inputs.with_name(f"{label}.log")
        command = [sys.executable, "-P", str(SIDE), work, str(inputs)]
        environment = os.environ | {"PYTHONPATH": str(folder)}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )

    def round(self) -> None:
        """Have the process work once, and keep what it made.

        Raises InserterError with the process's last words if it has ended.
        """
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin and stdout
        with suppress(BrokenPipeError):
            os.write(stdin.fileno(), b"\n")
        line = stdout.readline()
        if not line:
            said = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
            last = next((text for text in reversed(said) if text.strip()), "no error output")
            remedy = "Correct that error, or name another commit with BENCH_AGAINST=COMMIT"
            raise InserterError(f"{self.label} cannot run this benchmark ({last[:300]})", remedy)
        self.made = json.loads(line)


@contextmanager
def _side(label: str, folder: Path, work: str, *, inputs: Path) -> Iterator[_Side]:
    side = _Side(label, folder, work, inputs=inputs)
    with side.process:
        try:
            yield side
        finally:
            side.process.kill()
