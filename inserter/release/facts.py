"""What a run knows of its model: from its parameters and its reports."""

from collections.abc import Mapping
from typing import Any

from inserter.assets.embedded import CATALOGUE
from inserter.assets.resolve import PREFIX
from inserter.params import Params
from inserter.release.card import Facts, Part

REPORTED = ("corpus", "synthesize", "verify", "sft", "evaluate")  # stages whose reports a card quotes

OWN_ITEMS = "Own items in the style of SpeechInstructBench"


def known(params: Params, reports: Mapping[str, Mapping[str, Any]], *, commit: str = "unknown", dirty: str = "unknown") -> Facts:
    """Return the facts of a model.

    reports: {stage: its report}, for those of REPORTED that there are.
    commit, dirty: see `inserter.run.git.git_state`, of the code that made the model.
    """
    lm = _part(params.assets.lm)
    return Facts(
        name=params.register_.model,
        license=lm.licence.lower() if lm.licence else None,
        commit=committed(commit, dirty),
        lm=lm,
        encoder=_part(params.assets.encoder),
        languages=params.corpus.languages,
        voices={voice.name: voice.license for voice in params.synthesize.voices},
        heldout_voices=[voice.name for voice in params.synthesize.voices if voice.heldout],
        recordings={source.name: source.license for source in params.corpus.sources if source.kind == "recorded"},
        conversations={source.name: source.license for source in params.sft.sources},
        benchmark=OWN_ITEMS if params.benchmark.path == "own" else Facts.benchmark,
        reports=reports,
    )


def committed(commit: str, dirty: str) -> str | None:
    """Return a commit as a card shows it, or None if it is not known."""
    if commit == "unknown":
        return None
    return commit + (" with uncommitted changes" if dirty == "true" else "")


def _part(name: str) -> Part:
    asset = CATALOGUE.get(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None
    return Part(name=name, licence=asset.licence if asset else None)
