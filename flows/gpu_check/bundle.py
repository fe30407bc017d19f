"""Open a bundle: what the checks are run on."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from flows.gpu_check.pieces import join_pieces
from inserter.errors import InserterError
from inserter.files import publish, read_json, read_table
from inserter.params import Params, Pretrain, checked, laid_over
from inserter.tables import HELDOUT, VERIFIED, HeldOutContext
from inserter.training.batches import HeardLengths
from inserter.training.cliptable import ClipTable, IndexedClip, indexed
from inserter.training.models import Pair, new_model
from inserter.training.states import States, encode_clips
from inserter.training.tokens import Tokens, tokenise
from models import InserterForConditionalGeneration

SETTINGS = "settings.json"
WEIGHTS = "model.safetensors"


class Setup(NamedTuple):
    """What a speed is measured on."""

    model: InserterForConditionalGeneration
    tokens: Tokens
    states: States
    settings: Pretrain


@dataclass(frozen=True)
class Bundle:
    """A bundle that is put together in `folder`."""

    folder: Path
    params: Params
    arms: tuple[str, ...]
    real_clips: bool
    """False: noise takes the place of speech."""

    random: tuple[str, ...]
    """The models ("lm", "encoder") whose weights are drawn at random, for they are missing."""

    @property
    def settings(self) -> Pretrain:
        return self.params.pretrain.model_copy(update={"minutes": None})

    def model(self) -> Pair:
        """Return the model before any training; every call gives the same weights."""
        p = self.params
        return new_model(p.assets, p.warmup.adapter, p.pretrain.seed, delimiters=p.model.delimiters)

    @cached_property
    def clips(self) -> ClipTable:
        return indexed(self.folder / "clean.parquet", VERIFIED, self.folder / "clips", shards=self.folder / "shards")

    @cached_property
    def heldout(self) -> list[HeldOutContext]:
        return read_table(self.folder / "heldout.parquet", HELDOUT)

    def examples(self, arm: str, pair: Pair) -> Tokens:
        model, processor = pair
        folder = self.folder / "tokens" / arm
        if not folder.exists():
            tokenise(self.folder / "arms" / f"{arm}.parquet", processor, folder.with_suffix(".part"))
            publish(folder.with_suffix(".part"), folder)
        return Tokens.mapped(folder, HeardLengths(model, self.clips).of)

    def states(self, pair: Pair, names: set[str] | None = None, precision: str | None = None) -> States:
        """Return the encoder's states of the clips `names`, or of all."""
        rows: list[IndexedClip] = [self.clips[name] for name in sorted(self.clips if names is None else names)]
        return encode_clips(*pair, rows, shards=self.folder / "shards", precision=precision or self.settings.precision)


def opened(source: Path, folder: Path) -> Bundle:
    """Put the bundle in `source` together in `folder`.

    Models without weights get random ones. Raises InserterError if anything else is missing.
    """
    missing = join_pieces(source, folder)
    random = tuple(name for name in ("lm", "encoder") if f"{name}/{WEIGHTS}" in missing)
    if others := sorted(set(missing) - {f"{name}/{WEIGHTS}" for name in random}):
        raise InserterError(f"the bundle lacks {others[0]}", "Copy all pieces; only those of weights may be left out")
    for name in random:
        _draw(folder / name)
    found = read_json(folder / SETTINGS)
    if wrong := next((arm for arm in found["arms"] if Path(arm).name != arm), None):
        raise InserterError(f"the bundle has an arm {wrong!r}, which is no name of a file", "Pack the bundle again")
    assets = {"assets": {"lm": str(folder / "lm"), "encoder": str(folder / "encoder")}}
    params = checked(laid_over(found["params"], assets), SETTINGS)
    return Bundle(folder, params, tuple(found["arms"]), found["real_clips"], random)


def _draw(folder: Path) -> None:
    """Give the model in `folder` random weights of its shape."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

    torch.manual_seed(0)
    kind = AutoModelForCausalLM if folder.name == "lm" else AutoModel
    config = AutoConfig.from_pretrained(folder)
    kind.from_config(config).save_pretrained(folder)
