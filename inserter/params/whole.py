"""Read and check all of `params.yaml`, and report what is wrong in one line."""

import difflib
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError

from inserter.errors import InserterError
from inserter.params.gates import Check
from inserter.params.scoring import Benchmark, Evaluate, Register
from inserter.params.section import Section
from inserter.params.speech import Interleave, Synthesize, Verify
from inserter.params.text import Corpus, Segment
from inserter.params.training import Model, Pretrain, Sft, Warmup

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


class Assets(Section):
    """Where models come from: a local folder, a hub name or `embedded:NAME` (`inserter.assets`)."""

    lm: str
    """The causal LM that is trained."""
    encoder: str
    """The Whisper that encodes speech."""
    asr: str
    """The Whisper that verifies clips and writes transcripts."""


class Params(Section):
    """All of `params.yaml`: one section per stage, and what the stages share."""

    executor: Literal["local", "ray"]
    """Where the workers of synthesize, verify and sft's clips run.

    `local` means processes of this machine, `ray` actors of the Ray cluster at RAY_ADDRESS. The
    result does not depend on the choice.
    """
    assets: Assets
    corpus: Corpus
    segment: Segment
    synthesize: Synthesize
    verify: Verify
    interleave: Interleave
    model: Model
    warmup: Warmup
    pretrain: Pretrain
    sft: Sft
    benchmark: Benchmark
    evaluate: Evaluate
    register_: Annotated[Register, Field(alias="register")]
    check: Check


def load(path: Path | str = "params.yaml", overlay: Path | str | None = None) -> Params:
    """Read and check `path`, with the keys of the file `overlay` laid over it.

    Raises InserterError that names the key and what is allowed there.
    """
    raw = read(path)
    if overlay is not None:
        raw = laid_over(raw, read(overlay))
    return checked(raw, str(overlay or path))


def checked(raw: object, source: str) -> Params:
    """Return `raw` as Params. No value is converted, such as text to a number or `true` to 1.

    Raises InserterError that names `source`, the key and what is allowed there.
    """
    text = json.dumps(_plain(raw, source))
    try:
        return Params.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise InserterError(f"{source}: {'; '.join(_explain(e) for e in error.errors())}") from error


def laid_over(below: object, above: object) -> Any:
    """Return `above` laid over `below`: mappings are merged by key, anything else is replaced."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{key: laid_over(below.get(key), value) for key, value in above.items()}}


def read(path: Path | str) -> dict[str, object]:
    """Return the keys of the file `path`, with their values as DVC reads them.

    Raises InserterError if the file has no keys.
    """
    from inserter.yaml_files import read_yaml  # what has its parameters as JSON needs no YAML

    raw = read_yaml(path)
    if not isinstance(raw, dict):
        raise InserterError(f"{path} {'is empty' if raw is None else 'has no keys'}", "Write one `key: value` per line")
    return raw


def _plain(value: object, source: str, *at: object) -> object:
    """Return `value` as JSON has it; 24.0 becomes the whole number 24.

    Raises InserterError if JSON has no such value.
    """
    if isinstance(value, dict):
        return {str(key): _plain(item, source, *at, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, source, *at, number) for number, item in enumerate(value)]
    if isinstance(value, float) and math.isfinite(value):
        return int(value) if value.is_integer() else value
    if value is None or isinstance(value, str | bool | int):
        return value
    where = f"{source}: {'.'.join(map(str, at))}"
    if isinstance(value, float):
        raise InserterError(f"{where}: {value} is not a finite number", "Write a finite number")
    raise InserterError(f"{where}: YAML reads {value} as a {type(value).__name__}", "Put the value in quotes if it is text")


def _explain(error: "ErrorDetails") -> str:
    """Return a pydantic error as `section.key: problem`.

    For an unknown key, the text lists the allowed keys.
    """
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "missing":
        return f"{where}: {error['msg']}"
    if error["type"] != "extra_forbidden":
        return f"{where}: {error['msg']}, got {error['input']!r}{_hint(error['type'], error['input'])}"
    allowed = _allowed(error["loc"][:-1])
    close = difflib.get_close_matches(str(error["loc"][-1]), allowed, 1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"unknown key {where}{hint}; allowed here: {', '.join(allowed)}"


def _hint(expected: str, found: object) -> str:
    """Return how to write the intended value in YAML, or "" if there is no hint."""
    if expected == "string_type" and found is not None:
        return ": put the value in quotes"
    if expected == "bool_type":
        return ": write true or false"
    return (
        ": write the number in digits, without quotes" if expected in ("int_type", "float_type") and isinstance(found, str) else ""
    )


def _allowed(location: tuple[int | str, ...]) -> list[str]:
    model: Any = Params
    for part in location:
        if isinstance(part, int):
            continue
        field = next(f for n, f in model.model_fields.items() if (f.alias or n) == part)
        model = next((a for a in get_args(field.annotation) if isinstance(a, type) and issubclass(a, Section)), field.annotation)
    return sorted(f.alias or n for n, f in model.model_fields.items())
