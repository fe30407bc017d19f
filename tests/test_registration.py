"""`import inserter` is enough for transformers' automatic classes, costs next to nothing, and is silent without the models."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from checkout import ROOT

from inserter.release.card import Facts
from inserter.release.folder import export

LOAD = """
import sys
import inserter
print(sorted(name for name in sys.modules if name.partition(".")[0] in ("models", "torch", "transformers", "numpy")))
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForMultimodalLM, AutoProcessor, AutoTokenizer
AutoTokenizer.from_pretrained(sys.argv[1])
print([name for name in ("models.processor", "models.modeling") if name in sys.modules])
for kind in (AutoConfig, AutoProcessor, AutoModel, AutoModelForCausalLM, AutoModelForMultimodalLM):
    made = type(kind.from_pretrained(sys.argv[1]))
    print(f"{made.__module__}.{made.__name__}")
"""
ABSENT = """
import sys
import inserter
print(inserter.__file__)
from transformers import AutoConfig
try:
    AutoConfig.from_pretrained(sys.argv[1])
except ValueError as error:
    print("inserter" in str(error))
"""


def run(code: str, model: Path, root: Path, folder: Path) -> list[str]:
    environment = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, "-c", code, str(model)]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_automatic_classes_load_our_models_and_nothing_is_imported_before(tiny_model, tmp_path):
    export(tiny_model, tmp_path / "out", Facts(name="tiny"), max_new_tokens=8)
    assert run(LOAD, tmp_path / "out", ROOT, tmp_path) == [
        "[]",
        "[]",
        "models.configuration.InserterConfig",
        "models.processor.InserterProcessor",
        *["models.modeling.InserterForConditionalGeneration"] * 3,
    ]


def test_a_wheel_without_models_registers_nothing_silently(tiny_model, tmp_path):
    shutil.copytree(ROOT / "inserter", tmp_path / "inserter", ignore=shutil.ignore_patterns("__pycache__"))
    assert run(ABSENT, tiny_model, tmp_path, tmp_path) == [str(tmp_path / "inserter/__init__.py"), "True"]
