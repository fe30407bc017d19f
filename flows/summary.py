"""Summarise what a workspace holds, from its files. What was not measured is left out."""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from flows import record
from inserter.evaluation import Difference, EvaluateReport, Scores
from inserter.files import read_json
from inserter.paths import GATES, REPORTS, SYSTEM
from inserter.reports import GateReport, SynthesizeReport, SystemReport, VerifyReport
from inserter.scoring import table as scoretable
from inserter.tables import known

WIDTH = 100
UNTOLD = "not told apart"  # the 95 % interval contains 0
Report = TypeVar("Report")


def report(path: Path, kind: type[Report]) -> Report:
    """Return a report, which is of `kind`, or {} if there is none."""
    found: Report = read_json(path) if path.exists() else kind()
    return found if isinstance(found, dict) else kind()


def gate_report(name: str) -> GateReport:
    return report(GATES / f"{name}.json", GateReport)


def evaluated() -> EvaluateReport:
    return report(REPORTS / "evaluate.json", EvaluateReport)


def gate_rows(found: GateReport) -> list[dict[str, str]]:
    """Return the expectations of a gate report as flat rows of text, failed ones first."""
    expectations = sorted(found.get("expectations", []), key=lambda e: bool(e.get("passed")))
    return [
        {
            "passed": "yes" if e.get("passed") else "NO",
            "expectation": str(e.get("expectation", "")),
            "column": ".".join(str(e[key]) for key in ("table", "column") if e.get(key)),
            "observed": str(e.get("observed", "")),
            "limit": str(e.get("limit", "")),
            "unexpected": str(e.get("unexpected_count", "")),
            "first ids": ", ".join(map(str, e.get("first_ids") or [])),
            "remedy": "" if e.get("passed") else str(e.get("remedy", "")),
        }
        for e in expectations
    ]


def summary(color: bool = False, width: int = WIDTH) -> str:
    """Return the summary as text, `width` columns wide.

    color: with ANSI styles.
    """
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=color, no_color=not color, highlight=False)
    sections = (_company, _speech, _training, _benchmark, _likelihood, _people, _gates, _registry, _times)
    parts = [part for section in sections for part in section()]
    console.print(Group(*parts, *_next()) if parts else Text("no stage has run yet: run `inserter run`"))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()).strip("\n")


def verdict(found: EvaluateReport) -> str | None:
    """Return a sentence that says whether the model hears better or worse than its own cascade.

    found: reports/evaluate.json. Return None if nothing was measured.
    """
    beside = scoretable.company(found)
    shown = ((beside["gap"], "gap closed", 1, 3, ""), (beside["instructions"], "instructions followed", 100, 1, " points"))
    parts, verdicts = [], set()
    for pair, name, factor, digits, unit in shown:
        if pair:
            verdicts.add(_verdict(pair))
            difference = f"{factor * known(pair['difference']):+.{digits}f}{unit}{_range(pair, factor, digits)}"
            parts.append(f"{name} {difference}, {_verdict(pair)}")
    if not parts:
        return None
    if {"better", "worse"} <= verdicts:
        start = "The two figures disagree whether the model hears better or worse than its own cascade"
    elif verdicts == {UNTOLD}:
        start = "The model and its own cascade are not told apart"
    else:
        start = f"The model hears {min(verdicts - {UNTOLD})} than its own cascade"
    return f"{start}: {'; '.join(parts)}."


def _verdict(pair: Difference) -> str:
    if pair["low"] is None or pair["low"] <= 0 <= known(pair["high"]):
        return UNTOLD
    return "better" if known(pair["difference"]) > 0 else "worse"


def _range(pair: Difference, factor: int, digits: int) -> str:
    if pair["low"] is None:
        return ""
    return f" (95 % {factor * pair['low']:+.{digits}f} to {factor * known(pair['high']):+.{digits}f})"


def _company() -> Iterator[RenderableType]:
    if line := verdict(evaluated()):
        yield from (Text(line, style="bold"), Text(""))


def _facts(title: str, facts: list[tuple[str, str]]) -> Iterator[RenderableType]:
    """Yield a titled list of two columns, or nothing if there are no facts."""
    if facts:
        table = Table(title=title, title_justify="left", title_style="bold", show_header=False, box=None, padding=(0, 2, 0, 2))
        for name, value in facts:
            table.add_row(name, value)
        yield from (table, Text(""))


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _within(found: object, *keys: str) -> object:
    """Return found[key][key]..., or None."""
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _reasons(counts: Mapping[str, int]) -> str:
    """Return `50 (silence 10, wer 40)` for {reason: count}."""
    named = [f"{reason} {count:,}" for reason, count in sorted(counts.items()) if count]
    return f"{sum(counts.values()):,}" + (f" ({', '.join(named)})" if named else "")


def _before_after(before: object, after: object) -> str:
    """Return `3.912 -> 3.104`; for dicts, one such text per key that both have.

    Return "" if a side was not measured.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        shown = {key: _before_after(value, after.get(key)) for key, value in before.items()}
        return ", ".join(f"{key.replace('_', ' ')} {text}" for key, text in shown.items() if text)
    if isinstance(before, int | float) and isinstance(after, int | float):
        return f"{before:.3f} -> {after:.3f}"
    return ""


def _speech() -> Iterator[RenderableType]:
    spoken, verified = report(REPORTS / "synthesize.json", SynthesizeReport), report(REPORTS / "verify.json", VerifyReport)
    facts = []
    if "hours" in spoken:
        facts.append(("spoken", f"{spoken['hours']:.2f} h in {_number(spoken.get('clips', '?'))} clips"))
    if spoken.get("failed"):
        facts.append(("not spoken", _reasons(spoken["failed"])))
    if "hours_clean" in verified:
        facts.append(("clean", f"{verified['hours_clean']:.2f} h in {_number(verified.get('clean', '?'))} clips"))
    if isinstance(verified.get("quarantined"), dict):
        facts.append(("quarantined", _reasons(verified["quarantined"])))
    if isinstance(verified.get("wer_mean"), float):
        facts.append(("word error rate of the clean clips", f"{verified['wer_mean']:.3f}"))
    yield from _facts("Speech", facts)


def _training() -> Iterator[RenderableType]:
    found = {stage: report(REPORTS / f"{stage}.json", dict[str, object]) for stage in ("warmup", "pretrain", "sft")}
    evaluate = evaluated()
    before_after = {
        "pretrain: loss, first steps -> last": _losses(found["pretrain"]),
        "pretrain: loss on plain text, before -> after": _before_after(
            _within(found["pretrain"], "text_nll", "before"), _within(found["pretrain"], "text_nll", "after")
        ),
        "sft: loss, first steps -> last": _losses(found["sft"]),
        "sft: held-out pairs, before -> after": _before_after(
            _within(found["sft"], "pairs_nll", "before"), _within(found["sft"], "pairs_nll", "after")
        ),
    }
    facts = [(name, text) for name, text in before_after.items() if text]
    error = found["warmup"].get("heldout_token_error")
    if isinstance(error, float):
        facts.insert(0, ("warm-up: token error on held-out clips", f"{error:.3f}"))
    losses = evaluate.get("continuation") or {}
    names = ("heard_own", "heard_other", "cascade_own", "cascade_other", "read_own", "read_other", "absent")
    shown = [f"{name.replace('_', ' ')} {losses[name]:.3f}" for name in names if isinstance(losses.get(name), float)]
    if shown:
        facts.append(("held-out loss after a context", ", ".join(shown)))
    if isinstance(gap := evaluate.get("gap_closed"), float):
        facts.append(("gap closed (0: deaf, 1: as good as reading)", f"{gap:.3f}"))
    if isinstance(own := _within(evaluate, "cascade", "gap_closed"), float):
        facts.append(("gap closed by its own cascade", f"{own:.3f}"))
    if isinstance(kl := evaluate.get("kl_read_heard"), float):
        facts.append(("KL(read || heard) of the next token, nats", f"{kl:.3f}"))
    unseen = _within(evaluate, "voices", "unseen")
    if isinstance(other := _within(unseen, "gap_closed"), float):
        seen = _number(_within(evaluate, "voices", "seen", "gap_closed"))
        text = f"seen {seen}, unseen {other:.3f}, over the same {_within(unseen, 'documents')} documents"
        facts.append(("gap closed by voices seen and unseen", text))
    yield from _facts("Training", facts)


def _losses(found: Mapping[str, object]) -> str:
    return _before_after(found.get("loss_first"), found.get("loss_last"))


def _benchmark() -> Iterator[RenderableType]:
    scores = evaluated().get("speechinstructbench") or Scores()
    for (task, language), header, lines in scoretable.grid(scores, digits=0):
        followed = "corrections followed" if task == "adjustment" else "instructions followed"
        table = Table(box=None, padding=(0, 0, 0, 1))
        for name in header:
            table.add_column(name, justify="left" if name == "variant" else "right", no_wrap=True)
        for line in lines:
            table.add_row(*line)
        title = f"SpeechInstructBench style, {task}, {language}: {followed}, % (95 % interval)"
        yield from (Text(title, style="bold"), table, Text(""))


def _likelihood() -> Iterator[RenderableType]:
    if found := scoretable.likelihood(evaluated()):
        header, lines, forgotten = found
        table = Table(box=None, padding=(0, 0, 0, 1))
        for name in header:
            table.add_column(name, justify="left" if name == "measure" else "right")
        for line in lines:
            table.add_row(*line)
        title = "By likelihood, without generation (95 % interval)"
        yield from (Text(title, style="bold"), table, Text(forgotten), Text(""))


def _people() -> Iterator[RenderableType]:
    if found := scoretable.people(evaluated()):
        yield from _facts("Recordings of people", scoretable.people_lines(found))


def _gates() -> Iterator[RenderableType]:
    facts = []
    for path in sorted(GATES.glob("*.json")):
        found = report(path, GateReport)
        failed = [e for e in found.get("expectations", []) if not e.get("passed")]
        verdict = "passed" if found.get("passed") else f"FAILED ({len(failed)} expectations)"
        facts.append(
            (
                path.stem,
                f"{verdict} on {_number(found.get('rows', '?'))} rows, {len(found.get('expectations', []))} expectations",
            )
        )
    yield from _facts("Gates", facts)


def _registry() -> Iterator[RenderableType]:
    version = record.registered()
    if not version:
        return
    decision = record.decisions().get(str(version.get("version")), {})
    aliases = [f"@{alias}" for alias in (version.get("alias"), decision.get("alias")) if alias]
    facts = [("registered", f"{version.get('model', 'model')} version {version.get('version')} {' '.join(aliases)}".strip())]
    if decision:
        facts.append((f"promotion: {decision.get('decision')}", str(decision.get("reason"))))
    yield from _facts("Model", facts)


def _times() -> Iterator[RenderableType]:
    rows = []
    for path in SYSTEM.glob("*.json"):
        found = report(path, SystemReport)
        if "wall_seconds" in found:
            rows.append((path.stem, found["wall_seconds"], found.get("peak_rss_mb"), path.stat().st_mtime))
    if not rows:
        return
    table = Table(title="Last run of each stage", title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 2))
    table.add_column("stage")
    table.add_column("wall time", justify="right")
    table.add_column("peak memory", justify="right")
    for name, seconds, peak, _ in sorted(rows, key=lambda row: row[3]):
        table.add_row(name, duration(seconds), "" if peak is None else f"{peak / 1024:.1f} GiB")
    peaks = [peak for _, _, peak, _ in rows if peak is not None]
    table.add_row("all", duration(sum(row[1] for row in rows)), f"{max(peaks) / 1024:.1f} GiB" if peaks else "", style="bold")
    yield from (table, Text(""))


def duration(seconds: float) -> str:
    """Return `8.3 s`, or `12 min 04 s`."""
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


def _next() -> Iterator[RenderableType]:
    facts = [
        ("inserter status", "state of each stage, with what changed"),
        ("reports/", "every figure of every stage, as JSON"),
    ]
    pages = {
        "reports/listen.html": "sequences and clips to listen to",
        "reports/benchmark.html": "scores, answers and their sound",
        "reports/data_docs/index.html": "what the gates expect and found",
    }
    facts += [(path, text) for path, text in pages.items() if Path(path).exists()]
    if record.registered() or Path("data/sft/model").exists():
        facts.append(("inserter ask AUDIO.wav", "put a spoken question to the model"))
    if record.registered():
        facts.append(("make ui", "runs, curves, audio samples and the registry in the browser"))
    yield from _facts("Where to look next", facts)
