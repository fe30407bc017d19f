"""Write the model card of an exported model. What is not known is left out."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, TypedDict, cast

from jinja2 import Environment, PackageLoader, StrictUndefined
from safetensors import safe_open

from inserter.evaluation import EvaluateReport, Scores
from inserter.files import read_json
from inserter.reports import SynthesizeReport, VerifyReport
from inserter.scoring import table as scoretable

Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]
"""A title, the columns, and the rows."""


class Source(TypedDict, total=False):
    """A source of text in reports/corpus.json."""

    license: str
    documents: int
    words: int


@dataclass(frozen=True, kw_only=True)
class Part:
    """A model that training began with."""

    name: str
    licence: str | None = None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a model beside its files. A fact that is not known is None or empty."""

    name: str
    license: str | None = None
    """As hubs name it, such as apache-2.0."""
    version: str | None = None
    """Name and number in the registry."""
    commit: str | None = None
    """The commit whose code made the model."""
    code: str | None = None
    """The commit of the exported Python files."""
    lm: Part | None = None
    encoder: Part | None = None
    languages: Sequence[str] = ()
    """ISO 639-1 codes of the corpus."""
    voices: Mapping[str, str] = field(default_factory=dict)
    """{synthetic voice: licence}."""
    heldout_voices: Sequence[str] = ()
    """Those of `voices` that only evaluation hears."""
    recordings: Mapping[str, str] = field(default_factory=dict)
    """{source of recordings: licence}."""
    conversations: Mapping[str, str] = field(default_factory=dict)
    """{source of conversations for fine-tuning: licence}."""
    benchmark: str = "SpeechInstructBench"
    """Whose items the scores are of."""
    reports: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """{stage: its report}."""


def card(model: Path, facts: Facts, max_new_tokens: int) -> str:
    """Return README.md of the model in the folder `model`.

    max_new_tokens: see `inserter.release.folder.export`.
    """
    config = read_json(model / "config.json")
    evaluated = cast(EvaluateReport, facts.reports.get("evaluate", {}))
    return (
        _templates()
        .get_template("card.md.j2")
        .render(
            facts=facts,
            head="\n".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in _head(facts).items()),
            parts=_parts(model, config, facts),
            max_new_tokens=max_new_tokens,
            made=list(_made(facts)),
            tables=list(_data(facts)),
            scores=list(_scores(evaluated, facts.benchmark)),
            limits=list(_limits(config, facts)),
        )
    )


def _templates() -> Environment:
    """Return the templates beside this file. A row of a table is a filter."""
    templates = Environment(
        loader=PackageLoader("inserter.release", ""), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    templates.filters["row"] = lambda cells: f"| {' | '.join(' '.join(cell.split()).replace('|', '/') for cell in cells)} |"
    return templates


def _head(facts: Facts) -> dict[str, object]:
    """Return what hubs read of a card."""
    hubs = [part.name for part in (facts.lm, facts.encoder) if part and _of_hub(part.name)]
    known: dict[str, object] = {"license": facts.license, "language": list(facts.languages), "base_model": hubs}
    tags = ["inserter", "speech", "audio"]
    fixed: dict[str, object] = {"library_name": "transformers", "pipeline_tag": "audio-text-to-text", "tags": tags}
    return {key: value for key, value in known.items() if value} | fixed


def _of_hub(name: str) -> bool:
    return name.count("/") == 1 and ":" not in name and not name.startswith((".", "/")) and not Path(name).exists()


def _parts(model: Path, config: Mapping[str, Any], facts: Facts) -> list[tuple[str, str]]:
    rows = [
        ("LM", _with_licence(facts.lm) or config["text_config"]["model_type"]),
        ("encoder", _with_licence(facts.encoder) or config["audio_config"]["model_type"]),
        ("adapter", f"`{config['adapter']}`"),
        ("parameters", f"{_parameters(model):,}"),
    ]
    if positions := config["text_config"].get("max_position_embeddings"):
        rows.append(("positions of speech and text, with the answer", f"{positions:,}"))
    return rows


def _with_licence(part: Part | None) -> str:
    return "" if part is None else f"`{part.name}`" + (f" ({part.licence})" if part.licence else "")


def _parameters(model: Path) -> int:
    """Return the number of parameters in the safetensors of a folder, from their headers."""
    count = 0
    for path in model.glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            count += sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 (no mapping)
    return count


def _made(facts: Facts) -> Iterator[tuple[str, str]]:
    spoken = cast(SynthesizeReport, facts.reports.get("synthesize", {}))
    verified = cast(VerifyReport, facts.reports.get("verify", {}))
    if facts.version:
        yield "version in the registry", facts.version
    if facts.commit:
        yield "commit whose code made it", f"`{facts.commit}`"
    if facts.code:
        yield "commit of the Python files here", f"`{facts.code}`"
    if "hours" in spoken:
        yield "speech", f"{spoken['hours']:.2f} h in {spoken['clips']:,} clips"
    if "hours_clean" in verified:
        yield "of which passed verification", f"{verified['hours_clean']:.2f} h in {verified['clean']:,} clips"
    if isinstance(wer := verified.get("wer_mean"), float):
        yield "word error rate of a recogniser on these clips", f"{wer:.3f}"


def _data(facts: Facts) -> Iterator[Table]:
    sources: Mapping[str, Source] = facts.reports.get("corpus", {}).get("sources", {})
    if sources:
        rows = [[name, of.get("license", ""), f"{of['documents']:,}", f"{of['words']:,}"] for name, of in sources.items()]
        yield "Texts:", ("source", "licence", "documents", "words"), rows
    if rows := list(_voices(facts)):
        yield "Voices:", ("voice", "licence", "hours", "use"), rows
    kept: Mapping[str, Mapping[str, int]] = facts.reports.get("sft", {}).get("sources", {})
    if kept:
        rows = [[name, facts.conversations.get(name, ""), f"{of['kept']:,}"] for name, of in kept.items()]
        yield "Conversations for fine-tuning:", ("source", "licence", "conversations"), rows


def _voices(facts: Facts) -> Iterator[list[str]]:
    """Yield a row per synthetic voice, and one per source of recordings, which names no speaker."""
    people = _people(facts)
    for voice, hours in _hours(facts).items():
        if not any(voice in of for of in people.values()):
            use = "evaluation only" if voice in facts.heldout_voices else "synthetic, training"
            yield [voice, facts.voices.get(voice, ""), f"{hours:.2f}", use]
    for source, of in people.items():
        yield [f"{source}: {len(of)} people", facts.recordings[source], f"{sum(of.values()):.2f}", "recorded"]


def _hours(facts: Facts) -> Mapping[str, float]:
    return cast(SynthesizeReport, facts.reports.get("synthesize", {})).get("hours_by_voice", {})


def _people(facts: Facts) -> dict[str, dict[str, float]]:
    """Return {source of recordings: {speaker: hours}} of the sources that have speech."""
    hours = {voice: amount for voice, amount in _hours(facts).items() if voice not in facts.voices}
    found = {source: {name: of for name, of in hours.items() if name.startswith(f"{source}-")} for source in facts.recordings}
    return {source: of for source, of in found.items() if of}


def _scores(report: EvaluateReport, benchmark: str) -> Iterator[Table]:
    for (task, language), columns, lines in scoretable.grid(report.get("speechinstructbench") or Scores(), digits=0):
        followed = "corrections followed" if task == "adjustment" else "instructions followed"
        yield f"{benchmark}, {task}, {language}: {followed}", columns, lines
    gap, ends = report.get("gap_closed"), report.get("gap_closed_interval")
    if gap is not None:
        shown = f"{gap:.3f}" + (f" ({ends[0]:.3f}–{ends[1]:.3f})" if ends else "")
        title = "Gap closed: the share of reading's benefit that hearing also gives (0: deaf, 1: as good as reading)"
        yield title, ("gap closed", "documents"), [[shown, str(report.get("documents", ""))]]


def _limits(config: Mapping[str, Any], facts: Facts) -> Iterator[str]:
    if facts.languages:
        yield f"The texts that it was trained on here are in these languages alone: {', '.join(facts.languages)}."
    people = [name for of in _people(facts).values() for name in of]
    if voices := [voice for voice in _hours(facts) if voice not in (*facts.heldout_voices, *people)]:
        yield f"The {'other ' if people else ''}speech of its pre-training is synthetic. Number of voices: {len(voices)}."
    if config["adapter"] == "decoder":
        yield "It hears the words that Whisper's decoder writes, and the states that wrote them."
    if not facts.reports.get("evaluate"):
        yield "This card has no scores, because no report came with the model."
    yield "Nothing was measured about the truth or the safety of its answers."
