"""`pretrain.from: champion`: training goes on from the registered weights, and the report says from which version."""

from pathlib import Path

import mlflow
import pytest
import yaml
from safetensors.torch import load_file
from training_runs import workspace

from inserter.errors import InserterError
from inserter.params import load
from inserter.registry.tracking import connect, experiment_id
from models.pyfunc import pyfunc_arguments
from stages.pretrain.stage import main

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tiny_lm: Path, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory: a workspace before pre-training, without steps, so that weights can be compared."""
    made = workspace(tmp_path / "w", tiny_lm, tiny_encoder)
    monkeypatch.chdir(made)
    change(made, pretrain={"from": "champion", "steps": 0, "gap_steps": 0})
    return made


def change(folder: Path, **sections: dict[str, object]) -> None:
    raw = yaml.safe_load((folder / "params.yaml").read_text())
    for name, values in sections.items():
        raw[name] |= values
    (folder / "params.yaml").write_text(yaml.safe_dump(raw))


def register(model: Path) -> tuple[int, str]:
    """Make `model` the champion, as the stage `register` leaves it in MLflow; return its version and run."""
    params = load()
    client = connect(params.register_, write=True)
    with mlflow.start_run(experiment_id=experiment_id(client, params.register_)) as run:
        for name in ("lm", "encoder"):
            client.log_param(run.info.run_id, f"assets.{name}", getattr(params.assets, name))
        version = mlflow.pyfunc.log_model(name="model", registered_model_name="inserter", **pyfunc_arguments(model))
    number = str(version.registered_model_version)
    client.set_model_version_tag("inserter", number, "fingerprint", "f1")
    client.set_registered_model_alias("inserter", "champion", number)
    return int(number), run.info.run_id


def test_training_begins_with_the_champions_weights_and_says_so(folder: Path, tiny_model: Path) -> None:
    with pytest.raises(InserterError, match=r"inserter has no champion in sqlite:///mlflow.db\. Set pretrain.from to base, or pro"):
        main(load())
    assert not Path("mlflow.db").exists(), "no registry is made by looking into it"

    version, run = register(tiny_model)
    report = main(load())
    assert report["from"] == {"model": "inserter", "version": version, "run": run, "fingerprint": "f1"}
    made, champion = load_file(f"data/pretrain/model/{WEIGHTS}"), load_file(tiny_model / WEIGHTS)
    assert made.keys() == champion.keys() and all((made[name] == champion[name]).all() for name in made)

    change(folder, warmup={"adapter": load().warmup.adapter.model_dump() | {"hidden_size": 16}})
    with pytest.raises(InserterError, match=r"version 1 of inserter is another model \(adapter_hidden_size was 32, and is 16\)"):
        main(load())
    change(folder, assets={"encoder": "embedded:whisper-tiny.en"})
    with pytest.raises(InserterError, match=r"assets\.encoder was .*, and is embedded:whisper-tiny\.en"):
        main(load())
