"""Describe a version: in sentences, by the licences of its data, and by its data sets."""

import json
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from inserter.files import fingerprint
from inserter.params import Params
from inserter.paths import DATA
from inserter.registry.tracking import FLOW_RUN
from inserter.release.facts import committed, known
from inserter.scoring import table as scoretable
from stages.register.inputs import BENCHMARK, Inputs, passed

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

CORPUS = DATA / "corpus"
PAIRS = DATA / "sft" / "pairs.parquet"


def description(params: Params, inputs: Inputs) -> str:
    """Return a few sentences about the version: its parts, scores, gates and commit."""
    return " ".join(_sentences(params, inputs))


def _sentences(params: Params, inputs: Inputs) -> Iterator[str]:
    yield f"{params.assets.lm} hears through {params.assets.encoder} and the adapter {params.warmup.adapter.kind}."
    if (gap := inputs.evaluate["gap_closed"]) is None:
        yield "Reading the context did not lower the loss, so no gap was measured."
    else:
        yield f"Hearing gives {gap:.3f} of what reading gives (gap closed)."
    beside = scoretable.company(inputs.evaluate)
    shares = {"heard": beside["heard"], "read": beside["read"], "by chance": beside["chance"]}
    if measured := [f"{100 * share:.1f} % {form}" for form, share in shares.items() if share is not None]:
        yield f"Instructions followed: {', '.join(measured)}."
    if inputs.gates:
        failed = [name for name, report in inputs.gates.items() if not passed(report)]
        yield f"Gates not passed: {', '.join(failed)}." if failed else f"All {len(inputs.gates)} gates passed."
    if made := committed(inputs.commit, inputs.dirty):
        yield f"The code is that of commit {made}."


def origin(params: Params) -> dict[str, str]:
    """Return tags with the licences of data and parts, and the Prefect flow run."""
    parts = known(params, {})
    tags = {
        "licence.corpus": _licences((source.name, source.license) for source in params.corpus.sources),
        "licence.voices": _licences((voice.name, voice.license) for voice in params.synthesize.voices),
        "licence.conversations": _licences((source.name, source.license) for source in params.sft.sources),
        "licence.lm": (parts.lm and parts.lm.licence) or "unknown",
        "licence.encoder": (parts.encoder and parts.encoder.licence) or "unknown",
        "prefect.flow_run": os.environ.get(FLOW_RUN, ""),
    }
    return {name: value for name, value in tags.items() if value}


def _licences(pairs: Iterable[tuple[str, str]]) -> str:
    return "; ".join(f"{name}: {licence}" for name, licence in pairs)


def datasets(inputs: Inputs) -> "list[DatasetInput]":
    """Return the corpus, the pairs and the benchmark as MLflow's entities: name, digest and source.

    The digest of the corpus is DVC's, so a workspace without dvc.lock has no corpus here.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    found = [("benchmark", inputs.items, BENCHMARK, "evaluation")]
    outs = {out["path"]: out.get("md5", "") for entry in inputs.lock.values() for out in entry.get("outs", [])}
    if digest := outs.get(str(CORPUS)):
        found.append(("corpus", digest, CORPUS, "training"))
    if PAIRS.exists():
        found.append(("pairs", fingerprint(files=[PAIRS]), PAIRS, "training"))
    return [
        DatasetInput(
            Dataset(name, digest, source_type="local", source=json.dumps({"uri": str(path)})),
            [InputTag("mlflow.data.context", context)],
        )
        for name, digest, path, context in found
    ]
