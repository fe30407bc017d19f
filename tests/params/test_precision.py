"""`precision: auto`: what the machine multiplies faster, decided when the parameters are read."""

from pathlib import Path

import pytest
import torch
import yaml
from checkout import ROOT

from inserter.params import Params, section
from models.precision import bf16_is_fast, cpu_flags, in_bf16


@pytest.mark.parametrize(
    ("flags", "gpu", "speedup", "fast"),
    [
        ("fpu avx2", False, None, False),
        ("avx512_bf16 avx512_vnni", False, 0.4, False),
        ("avx512_bf16 avx512_vnni", False, 4.8, True),
        ("avx512_bf16 amx_bf16 amx_tile", False, None, True),
        ("fpu avx2", True, None, True),
        (None, False, None, False),
    ],
)
def test_bf16_is_for_gpus_amx_and_where_it_was_measured_to_be_faster(
    tmp_path: Path, flags: str | None, gpu: bool, speedup: float | None, fast: bool
) -> None:
    device, cpu = tmp_path / "gpu", tmp_path / "cpuinfo"
    if gpu:
        device.touch()
    if flags:
        cpu.write_text(f"model name : some\nflags\t\t: {flags}\n")

    def measured() -> float:
        assert speedup is not None, "nothing is measured where the flags decide"
        return speedup

    assert bf16_is_fast((str(device),), str(cpu), measured) is fast


def test_a_clock_that_changes_makes_no_other_machine(tmp_path: Path) -> None:
    cpu = tmp_path / "cpuinfo"
    found = []
    for clock in ("2000.1", "3999.9"):
        cpu.write_text(f"model name : some\ncpu MHz : {clock}\nflags : fpu avx512_bf16\n")
        found.append(cpu_flags(str(cpu)))
    assert found[0] == found[1] and "avx512_bf16" in found[0]


def test_a_machine_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSERTER_CACHE", str(tmp_path))
    monkeypatch.setattr(section, "speedup", lambda: 4.8)
    assert section.measured_once() == 4.8
    monkeypatch.setattr(section, "speedup", lambda: 0.4)
    assert section.measured_once() == 4.8
    monkeypatch.setenv("INSERTER_CACHE", str(tmp_path / next(tmp_path.iterdir())))  # a file, in which nothing can be written
    assert section.measured_once() == 0.4


def test_auto_becomes_bf16_or_fp32_and_a_given_precision_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["sft"]["precision"] = "bf16"
    for fast, expected in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(section, "bf16_is_fast", lambda fast=fast, **how: fast)
        params = Params.model_validate(raw)
        assert (params.warmup.precision, params.pretrain.precision, params.sft.precision) == (expected, expected, "bf16")
    raw["sft"]["precision"] = "fp16"
    with pytest.raises(ValueError, match="bf16"):
        Params.model_validate(raw)


def test_a_served_model_decides_as_the_parameters_do_and_knows_three_precisions() -> None:
    cpu = torch.device("cpu")
    assert in_bf16("auto", cpu) is bf16_is_fast(gpus=())
    assert in_bf16("auto", torch.device("cuda"))
    assert (in_bf16("bf16", cpu), in_bf16("fp32", cpu)) == (True, False)
    with pytest.raises(ValueError, match="auto, bf16 or fp32"):
        in_bf16("fp16", cpu)
