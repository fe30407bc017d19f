"""All of `params.yaml`: read, checked, and what is wrong in it said in one line."""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import Field, ValidationError

from stages.common.errors import InserterError
from stages.common.params.gates import Check
from stages.common.params.scoring import Benchmark, Evaluate, Register
from stages.common.params.section import Section
from stages.common.params.speech import Interleave, Synthesize, Verify
from stages.common.params.text import Corpus, Segment
from stages.common.params.training import Pretrain, Sft, Warmup


class Assets(Section):
    """Where models come from: a local folder, a hub name, or `embedded:NAME` (see `stages.common.assets`)."""

    lm: str
    encoder: str
    asr: str


class Params(Section):
    """All of `params.yaml`: one section a stage, and what they share.

    executor: where the workers of synthesize, verify and sft's clips run: processes of this machine, or actors of the Ray cluster
    at RAY_ADDRESS. The result does not depend on it.
    """

    executor: Literal["local", "ray"]
    assets: Assets
    corpus: Corpus
    segment: Segment
    synthesize: Synthesize
    verify: Verify
    interleave: Interleave
    warmup: Warmup
    pretrain: Pretrain
    sft: Sft
    benchmark: Benchmark
    evaluate: Evaluate
    register_: Annotated[Register, Field(alias="register")]
    check: Check


def load(path: Path | str = "params.yaml", overlay: Path | str | None = None) -> Params:
    """Read and check `path`, with the keys of the file `overlay` laid over it. Raises InserterError that names the key and what
    is allowed there."""
    raw = read(path)
    if overlay is not None:
        raw = laid_over(raw, read(overlay))
    return checked(raw, str(overlay or path))


def checked(raw: Any, source: str) -> Params:
    """`raw` as Params. Raises InserterError that names `source`, the key and what is allowed there."""
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        raise InserterError(f"{source}: {'; '.join(_explain(e) for e in error.errors())}") from error


def laid_over(below: Any, above: Any) -> Any:
    """Mappings are merged key by key; anything else is replaced."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{key: laid_over(below.get(key), value) for key, value in above.items()}}


def read(path: Path | str) -> Any:
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InserterError(f"{path} is not there", "Run from the folder of dvc.yaml") from error
    except yaml.YAMLError as error:
        raise InserterError(f"{path} is not valid YAML ({error})", "Mend it") from error


def _explain(error: Any) -> str:
    """One pydantic error as `section.key: problem`, with the allowed keys where the key is unknown or missing."""
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] != "extra_forbidden":
        return f"{where}: {error['msg']}" + (f", got {error['input']!r}" if error["type"] != "missing" else "")
    allowed = _allowed(error["loc"][:-1])
    close = difflib.get_close_matches(str(error["loc"][-1]), allowed, 1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"unknown key {where}{hint}; allowed here: {', '.join(allowed)}"


def _allowed(location: tuple) -> list[str]:
    model: Any = Params
    for part in location:
        if isinstance(part, int):
            continue
        field = next(f for n, f in model.model_fields.items() if (f.alias or n) == part)
        model = next((a for a in get_args(field.annotation) if isinstance(a, type) and issubclass(a, Section)), field.annotation)
    return sorted(f.alias or n for n, f in model.model_fields.items())
