#!/bin/bash
# transformers 5.23.0 never passes a module that has no parameter of its own to `_init_weights`; 4.57.3 does.
#
# A model's `_init_weights(module)` is called for `Own`, which has a parameter, and not for `Gate`, which has only children, nor
# for the model `M` itself. This holds for a new model and for one that is loaded with missing weights. A reset that such a
# module needs after its children (a zero, a buffer, a tie) is so left out, without an error.
#
# Seen:
#   4.57.3  new: Linear Linear Gate Linear Own M  loaded without gate and own: Linear Gate Linear Own M
#   5.23.0  new: Linear Linear Linear Own  loaded without gate and own: Linear Linear Own
# Exits 0 while this is so, 1 when it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/seen.py" <<'PY'
import sys
import tempfile

import torch
import transformers
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

transformers.logging.set_verbosity_error()


class Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.zeros(1))


class Config(PretrainedConfig):
    model_type = "seen"


class M(PreTrainedModel):
    config_class = Config
    seen: list[str] = []

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.base, self.gate, self.own = nn.Linear(2, 2), Gate(), Own()
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        M.seen.append(type(module).__name__)


model = M(Config())
new = list(M.seen)
with tempfile.TemporaryDirectory() as saved:
    model.save_pretrained(saved, state_dict={name: value for name, value in model.state_dict().items() if name.startswith("base")})
    M.seen.clear()
    M.from_pretrained(saved)
print(f"{transformers.__version__}  new: {' '.join(new)}  loaded without gate and own: {' '.join(M.seen)}")
has_own = "Own" in new and "Own" in M.seen
sys.exit(not (has_own and ("Gate" in new, "Gate" in M.seen) == tuple(argument == "yes" for argument in sys.argv[1:])))
PY
python3 -m venv "$folder/venv"
for version in 4.57.3 5.23.0; do
  "$folder/venv/bin/pip" install --quiet "transformers==$version" torch==2.13.0 numpy
  case $version in 4*) expected="yes yes" ;; *) expected="no no" ;; esac
  # shellcheck disable=SC2086
  "$folder/venv/bin/python" "$folder/seen.py" $expected
done
