"""What every section of `params.yaml` is made of."""

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(gt=0)]
Seed = Annotated[int, Field(ge=0)]


def _ascending(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError("the lower bound comes first")
    return bounds


def within(low: float, high: float) -> Callable[[tuple[float, float]], tuple[float, float]]:
    def check(bounds: tuple[float, float]) -> tuple[float, float]:
        if not low <= bounds[0] <= bounds[1] <= high:
            raise ValueError(f"both have to be {low} to {high}")
        return bounds

    return check


Range = Annotated[tuple[float, float], AfterValidator(_ascending)]


class Section(BaseModel):
    """Frozen; unknown keys are refused; no default anywhere, so that `params.yaml` shows every knob."""

    model_config = ConfigDict(frozen=True, extra="forbid")
