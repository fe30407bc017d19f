"""Base class and field types of the sections of `params.yaml`."""

from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from models.precision import bf16_is_fast, cpu_flags, speedup

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


def _ascending(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError("the first bound must not exceed the second")
    return bounds


def within(low: float, high: float) -> Callable[[tuple[float, float]], tuple[float, float]]:
    def check(bounds: tuple[float, float]) -> tuple[float, float]:
        if not low <= bounds[0] <= bounds[1] <= high:
            raise ValueError(f"both bounds must be from {low} to {high}, the lower one first")
        return bounds

    return check


Range = Annotated[tuple[float, float], AfterValidator(_ascending)]


def measured_once() -> float:
    """Return `speedup` of this machine, which all workspaces of a user share.

    A second measurement could decide otherwise in mid-run, and would import torch in every command.
    """
    from inserter.errors import InserterError
    from inserter.files import fingerprint, read_json, write_json
    from inserter.paths import cache_home

    path = cache_home() / f"bf16-{fingerprint(sorted(cpu_flags()), version('torch'))}.json"
    if path.is_file():
        return float(read_json(path)["speedup"])
    with suppress(InserterError):  # where nothing can be written, each process measures
        write_json(path, {"speedup": speedup()})
    return speedup()


def _known(value: object) -> object:
    return ("bf16" if bf16_is_fast(measured=measured_once) else "fp32") if value == "auto" else value


Precision = Annotated[Literal["bf16", "fp32"], BeforeValidator(_known)]
"""Precision of products. `auto` in params.yaml selects the faster one on this machine."""


def _distinct(items: tuple[object, ...]) -> tuple[object, ...]:
    names = [str(getattr(item, "name", item)) for item in items]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"{twice[0]} is given twice: {', '.join(names)}")
    return items


Distinct = AfterValidator(_distinct)
"""No item twice; items are texts, or sections with a name."""


class Section(BaseModel):
    """A section of `params.yaml`: frozen, and unknown keys are refused.

    Only Source, SftSource and Voice have defaults, so `params.yaml` shows every other setting.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
