"""What every section of `params.yaml` is made of."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


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

GPUS = ("/dev/nvidiactl", "/dev/kfd")


def bf16_is_fast(gpus: tuple[str, ...] = GPUS, cpu: str = "/proc/cpuinfo") -> bool:
    """Whether this machine is known to multiply bf16 faster than fp32: a GPU, or a CPU with AMX. Without torch: parameters are read
    where nothing is trained too.

    A CPU with AVX-512's bf16 alone trained 118 positions a second in bf16 and 166 in fp32 (docs/LOG.md).
    """
    if any(Path(device).exists() for device in gpus):
        return True
    return Path(cpu).is_file() and "amx_bf16" in Path(cpu).read_text(encoding="utf-8", errors="replace").split()


def _known(value: Any) -> Any:
    return ("bf16" if bf16_is_fast() else "fp32") if value == "auto" else value


Precision = Annotated[Literal["bf16", "fp32"], BeforeValidator(_known)]
"""Of products; `auto` in params.yaml is what this machine does faster."""


def _distinct(items: tuple[Any, ...]) -> tuple[Any, ...]:
    names = [getattr(item, "name", item) for item in items]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"{twice[0]} is there twice: {', '.join(names)}")
    return items


Distinct = AfterValidator(_distinct)
"""Of texts, or of what has a name."""


class Section(BaseModel):
    """Frozen; unknown keys are refused; no default anywhere, so that `params.yaml` shows every knob."""

    model_config = ConfigDict(frozen=True, extra="forbid")
