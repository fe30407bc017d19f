"""Ask a model that transformers loads, in batches."""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from inserter.answering.items import AskedForm, wav
from inserter.answering.sheet import Sheet
from inserter.errors import InserterError
from inserter.tables import Item

if TYPE_CHECKING:
    from torch import Tensor

Chat = list[dict[str, object]]
SHOWN = 200  # characters of an error


@dataclass(frozen=True)
class LocalSettings:
    """A model and the way it is asked."""

    model: str
    """A folder, or a name on the hub."""

    trust_remote_code: bool = False
    """Whether code that the model brings along may run."""

    batch_size: int = 8
    max_tokens: int = 512
    temperature: float = 0.0

    def system(self) -> dict[str, object]:
        """Return what decides an answer."""
        return {"model": self.model, "max_tokens": self.max_tokens, "temperature": self.temperature}


class LocalModel:
    """A model and its processor, on a GPU if torch finds one."""

    def __init__(self, settings: LocalSettings) -> None:
        """Load the model. Raises InserterError if transformers cannot load it."""
        try:
            import torch
            from transformers import AutoModelForCausalLM, AutoModelForMultimodalLM, AutoProcessor, set_seed
        except ModuleNotFoundError as error:
            raise InserterError(f"--hf needs the package {error.name}", "Run `pip install 'inserter[pipeline]'`") from error
        self.settings = settings
        device = "cuda" if torch.cuda.is_available() else "cpu"
        trust = {"trust_remote_code": settings.trust_remote_code}
        set_seed(0)
        try:
            self.processor: Any = AutoProcessor.from_pretrained(settings.model, **trust)
            try:
                model: Any = AutoModelForMultimodalLM.from_pretrained(settings.model, dtype="auto", **trust)
            except ValueError:  # a model of text alone
                model = AutoModelForCausalLM.from_pretrained(settings.model, dtype="auto", **trust)
        except Exception as error:  # foreign code, and files that may be damaged in any way
            raise InserterError(f"transformers cannot load {settings.model} ({_line(error)})", _remedy(str(error))) from error
        self.model = model.to(device).eval()
        self.tokenizer: Any = getattr(self.processor, "tokenizer", self.processor)
        self.tokenizer.padding_side = "left"  # the answer begins at the right
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token

    @property
    def hears(self) -> bool:
        """Whether the model has a processor, and not a tokenizer alone."""
        return self.tokenizer is not self.processor

    def answers(self, chats: Sequence[Chat]) -> list[str]:
        """Return the model's answers to conversations, greedy at a temperature of 0."""
        import torch

        s = self.settings
        inputs = self.processor.apply_chat_template(
            chats, tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt", **self._padding()
        ).to(self.model.device)
        sampling = {"do_sample": True, "temperature": s.temperature} if s.temperature else {"do_sample": False}
        with torch.inference_mode():
            made = self.model.generate(**inputs, max_new_tokens=s.max_tokens, pad_token_id=self.tokenizer.pad_token_id, **sampling)
        texts: list[str] = self.tokenizer.batch_decode(_new(made, inputs["input_ids"]), skip_special_tokens=True)
        return [text.strip() for text in texts]

    def _padding(self) -> dict[str, object]:
        """Return the argument for padding, which a processor takes in a place of its own."""
        return {"processor_kwargs": {"padding": True}} if self.hears else {"padding": True}

    def chat(self, folder: Path, item: Item, form: AskedForm) -> Chat:
        """Return the conversation that puts an item: its sound, or its words if it is read."""
        if form == "read":
            return [{"role": "user", "content": [{"type": "text", "text": item["prompt"]}] if self.hears else item["prompt"]}]
        import soundfile

        wave, _ = soundfile.read(io.BytesIO(wav(folder, item)), dtype="float32")
        return [{"role": "user", "content": [{"type": "audio", "audio": wave}]}]


def _new(made: "Tensor", asked: "Tensor") -> "Tensor":
    """Return the tokens after the prompt; some models return the answer alone."""
    length = asked.shape[1]
    return made[:, length:] if made.shape[1] >= length and bool((made[:, :length] == asked).all()) else made


def _line(error: BaseException) -> str:
    text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _remedy(message: str) -> str:
    if "trust_remote_code" in message:
        return "Give --trust-remote-code if you trust the code that the model brings along"
    return "Give a folder or a name of a model with a processor, and see that this version of transformers has it"


def answer(sheet: Sheet, folder: Path, model: LocalModel) -> None:
    """Ask the model for every waiting item of `sheet`, whose file is open.

    Items of similar length share a batch. If a batch fails, its items are asked one by one, and one
    that fails alone is recorded with its reason.

    Raises InserterError if a model of text alone shall hear, or if a clip cannot be read.
    """
    if sheet.form == "heard" and not model.hears:
        raise InserterError(f"{model.settings.model} is a model of text alone, which cannot hear", "Give --form read")
    waiting = sorted(sheet.waiting(), key=lambda item: (item["duration"], len(item["prompt"]), item["item_id"]))
    with tqdm(total=len(waiting), desc="answer", unit=" items", disable=None) as bar:
        for batch in _batches(waiting, model.settings.batch_size):
            ask: Callable[[Sequence[Item]], list[str]] = lambda some: model.answers(  # noqa: E731
                [model.chat(folder, item, sheet.form) for item in some]
            )
            try:
                texts = ask(batch)
            except InserterError:
                raise
            except Exception:  # foreign code: anything may be wrong with a batch
                _one_by_one(sheet, batch, ask)
            else:
                for item, text in zip(batch, texts, strict=True):
                    sheet.answer(item, text)
            bar.update(len(batch))


def _one_by_one(sheet: Sheet, batch: Sequence[Item], ask: Callable[[Sequence[Item]], list[str]]) -> None:
    for item in batch:
        try:
            (text,) = ask([item])
        except InserterError:
            raise
        except Exception as error:
            sheet.fail(item, _line(error))
        else:
            sheet.answer(item, text)


def _batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
