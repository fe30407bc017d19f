"""`python -m flows.gpu_check` in miniature, on a CPU: with what a bare machine has, and from a part of the bundle."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from checkout import ROOT
from light import closure

from flows.gpu_check.__main__ import NEEDED
from flows.gpu_check.arms import differences
from flows.gpu_check.bundle import opened
from flows.gpu_check.equality import _agreement
from flows.gpu_check.pieces import MANIFEST, join_pieces, write_pieces
from inserter.errors import InserterError
from inserter.files import sha256


def run(*arguments: object, cwd: Path, path: str = str(ROOT), flags: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *flags, "-m", "flows.gpu_check", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def bundle(tiny_lm: Path, tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of tiny models and noise, packed in a folder without a pipeline's data."""
    folder = tmp_path_factory.mktemp("prepared")
    shutil.copy(ROOT / "params.yaml", folder)
    overlay = yaml.safe_load((ROOT / "docs/one-gpu.yaml").read_text())
    overlay["assets"] = {"lm": str(tiny_lm), "encoder": str(tiny_encoder)}
    overlay["pretrain"] |= {"batch_positions": 2000, "micro_positions": 2000}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(overlay))
    done = run("--pack", "bundle", "--overlay", "tiny.yaml", "--hours", 0.05, "--heldout", 4, "--piece-mib", 0.05, cwd=folder)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder / "bundle"


def bare(folder: Path) -> str:
    """A PYTHONPATH with this project and the packages that the checks need, and theirs."""
    site = folder / "site"
    site.mkdir()
    for one in closure(list(NEEDED)).values():
        for top in {file.parts[0] for file in one.files or [] if file.parts[0] not in ("..", "__pycache__")}:
            (site / top).symlink_to(Path(str(one.locate_file(top))))
    return f"{site}:{ROOT}"


def test_all_parts_run_with_what_a_bare_machine_has(bundle: Path, tmp_path: Path) -> None:
    path = bare(tmp_path)
    for name in ("mlflow", "dvc", "prefect", "ruamel", "scipy", "pandas", "soxr", "ctranslate2"):
        assert not (tmp_path / "site" / name).exists(), name
    done = run(
        "--bundle", bundle, "--minutes", 20, "--positions", 6_000, "--out", tmp_path / "out", cwd=ROOT, path=path, flags=("-S",)
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / "out/gpu_check.json").read_text())
    text = (tmp_path / "out/gpu_check.md").read_text()
    assert '"error"' not in json.dumps(found), json.dumps(found, indent=1)
    equal = found["equality"]
    for precision in ("fp32", "bf16"):
        assert equal[f"layouts, {precision}"]["alone"]["within"] and equal[f"layouts, {precision}"]["padded"]["within"]
    assert equal["stopped and resumed"]["bit for bit"] and equal["served answers"]["equal"]
    assert equal["answers on the device and on the CPU"]["fp32"]["answers equal"] == 1
    speed = found["speed"]
    assert speed["packed, 512 positions a step"]["positions per second"] > 0
    assert speed["transformers' Trainer, padded batches of 8"]["best packed, times as fast"] > 0
    assert speed["answers per second"]["in batches"] > 0 and speed["encoder, times real time"]["from files"] > 0
    arms = found["arms"]
    rows = [arms[name] for name in ("inserter", "asr", "continuation")]
    assert arms["none"]["positions"] == 0 and all(row["contexts"] == 4 and len(row["curve"]) >= 5 for row in rows)
    positions = [row["positions"] for row in rows]
    assert max(positions) < 1.25 * min(positions), "equal, but for examples that are not split"
    assert {"gap closed", "loss after a heard context"} == set(arms["inserter − asr"])
    assert "| inserter − none: loss after a heard context: difference | -" in text, "training helps"
    assert text.count("\n| inserter |") == 1 + len(rows[0]["curve"]), "its row, and its curve"
    assert rows[0]["curve"][0]["positions"] == 0 and rows[0]["curve"][-1]["positions"] == positions[0]


def test_models_without_weights_are_drawn_at_random(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "some")
    count = len(list((tmp_path / "some").glob("piece-*")))
    (tmp_path / f"some/piece-{count - 1}").unlink()
    found = opened(tmp_path / "some", tmp_path / "bundle")
    assert found.random == ("lm",) and found.model()[0].config.text_config.hidden_size == 32
    (tmp_path / "some/piece-02").unlink()
    with pytest.raises(InserterError, match=r"the bundle lacks .*\. Copy all pieces"):
        opened(tmp_path / "some", tmp_path / "less")


def test_what_is_missing_is_said_in_one_line(bundle: Path, tmp_path: Path) -> None:
    done = run("--bundle", bundle, "--out", tmp_path / "out", cwd=ROOT, flags=("-S",))
    assert done.returncode == 1 and done.stderr.strip().count("\n") == 0
    assert "gpu_check: not installed: torch, " in done.stderr and "Run: pip install torch " in done.stderr


def test_a_folder_comes_back_from_its_pieces(tmp_path: Path) -> None:
    source, pieces, target = tmp_path / "source", tmp_path / "pieces", tmp_path / "target"
    for name, size in (("a/small.json", 10), ("b/large.bin", 50_000)):
        (source / name).parent.mkdir(parents=True)
        (source / name).write_bytes(np.random.default_rng(size).bytes(size))
    (source / "a/same.json").hardlink_to(source / "a/small.json")  # as a cache may link equal files
    names = write_pieces(source, pieces, order=lambda name: name, most=16_384)
    assert len(names) == 4 and max((pieces / name).stat().st_size for name in names) == 16_384
    assert join_pieces(pieces, target) == []
    for file in ("a/small.json", "a/same.json", "b/large.bin"):
        assert (target / file).read_bytes() == (source / file).read_bytes()
    (pieces / names[2]).rename(tmp_path / "away")
    assert join_pieces(pieces, target) == ["b/large.bin"] and not (target / "b/large.bin").exists()
    assert (target / "a/small.json").exists(), "what comes first can be used"
    (pieces / names[2]).write_bytes(b"something else")
    with pytest.raises(InserterError, match="piece-02 is damaged"):
        join_pieces(pieces, target)


def test_what_is_no_plain_file_of_the_bundle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pieces").mkdir()
    with tarfile.open(tmp_path / "pieces/piece-00", "w") as tar:
        link = tarfile.TarInfo("weights")
        link.type, link.linkname = tarfile.SYMTYPE, "elsewhere"
        tar.addfile(link)
    manifest = {"pieces": [["piece-00", sha256(tmp_path / "pieces/piece-00")]], "files": {}}
    (tmp_path / "pieces" / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(InserterError, match="weights, which is no plain file"):
        join_pieces(tmp_path / "pieces", tmp_path / "target")


@pytest.mark.parametrize("name", ["../kept", "a/../../kept", "/kept"])
def test_a_bundle_names_nothing_outside_it(tmp_path: Path, name: str) -> None:
    """A file of another size than the manifest says is removed: it must not be one of the user's."""
    (tmp_path / "kept").write_text("mine")
    name = str(tmp_path / "kept") if name == "/kept" else name
    for manifest in ({"pieces": [], "files": {name: 1}}, {"pieces": [[name, sha256(tmp_path / "kept")]], "files": {}}):
        (tmp_path / "pieces").mkdir(exist_ok=True)
        (tmp_path / "pieces" / MANIFEST).write_text(json.dumps(manifest))
        with pytest.raises(InserterError, match="which is not inside it"):
            join_pieces(tmp_path / "pieces", tmp_path / "target")
    assert (tmp_path / "kept").read_text() == "mine" and not (tmp_path / "target").exists()


def test_a_file_of_another_size_than_the_bundle_says_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/large").write_bytes(bytes(50_000))
    write_pieces(tmp_path / "source", tmp_path / "pieces", order=lambda name: name, most=100_000)
    manifest = tmp_path / "pieces" / MANIFEST
    manifest.write_text(manifest.read_text().replace("50000", "5"))
    with pytest.raises(InserterError, match="large, which is no plain file"):
        join_pieces(tmp_path / "pieces", tmp_path / "target")


def test_answers_agree_up_to_the_first_difference() -> None:
    assert _agreement([1, 2, 3, 4], [1, 2, 9, 4]) == 0.5
    assert _agreement([], []) == 1 and _agreement([], [1]) == 0 and _agreement([1], [1, 2]) == 0.5


def test_a_paired_difference_is_that_of_the_gaps(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    read = [(float(10 + x), 10) for x in random.random(50)]

    def model(share: float) -> dict:
        other = [(loss + 5, tokens) for loss, tokens in read]
        own = [(loss + 5 - 5 * share, tokens) for loss, tokens in read]
        return {"read_own": read, "read_other": other, "heard_own": own, "heard_other": other, "absent": other}

    found = differences(model(0.8), model(0.3), "a", "b")
    assert found["gap closed"]["difference"] == pytest.approx(0.5)
    assert found["gap closed"]["interval"] == pytest.approx([0.5, 0.5]), "all documents agree"
    assert found["loss after a heard context"]["difference"] == pytest.approx(-0.25)
