"""Write text with a language model, so that the same seed gives the same text.

The model runs in CTranslate2, in int8, on one thread.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from inserter.assets import lm_folder
from inserter.assets.embedded import cached
from inserter.errors import InserterError
from inserter.files import fingerprint
from inserter.text.sentences import sentence_spans
from stages.corpus.clean import finished

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from models.plaintext import Turn


def model_folder(name: str) -> Path:
    """Return the CTranslate2 folder (int8) of the causal LM `name` (as in assets.lm).

    The folder has the tokenizer too. The LM is converted once into the cache, under a key of its
    contents. Another LM at the same place is therefore converted anew.
    """
    source = lm_folder(name)
    files = sorted(file for file in source.iterdir() if file.is_file() and file.suffix != ".md")
    key = fingerprint([file.name for file in files], files=files)
    return cached(f"{source.resolve().name}-int8-{key}", lambda target: _convert(source, target))


def _convert(source: Path, target: Path) -> None:
    from ctranslate2.converters import TransformersConverter

    own = [file.name for file in source.iterdir() if file.name.startswith("tokenizer") or file.name == "chat_template.jinja"]
    try:
        TransformersConverter(str(source), copy_files=own).convert(str(target), quantization="int8", force=True)
    except (ValueError, RuntimeError, KeyError) as error:
        raise InserterError(
            f"{source} cannot be converted to CTranslate2 ({error})", "Give a causal LM that CTranslate2 supports"
        ) from error


class Writer:
    """Writes answers to prompts with the model in `folder` (see `model_folder`)."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoTokenizer

        from models.plaintext import PlainText

        self.folder = folder
        self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder)
        self.plain = PlainText(self.tokenizer)

    def write(self, prompts: Sequence[str], seed: int, temperature: float, *, top_k: int, max_new_tokens: int) -> list[str]:
        """Return one text per prompt.

        The same prompts and seed give the same texts on the same kind of CPU. CTranslate2 seeds the
        generator of a thread once, at its first use. So every call makes the model's thread anew
        (0.1 s for 135 M parameters), and all prompts form one batch.
        """
        import ctranslate2

        ctranslate2.set_random_seed(seed % 2**32)
        model = ctranslate2.Generator(str(self.folder), compute_type="int8", inter_threads=1, intra_threads=1)
        results = model.generate_batch(
            [self._tokens(prompt) for prompt in prompts],
            max_length=max_new_tokens,
            sampling_topk=top_k,
            sampling_temperature=temperature,
            include_prompt_in_result=False,
            end_token=self.tokenizer.eos_token,
        )
        return [str(self.tokenizer.decode(result.sequences_ids[0], skip_special_tokens=True)).strip() for result in results]

    def _tokens(self, prompt: str) -> list[str]:
        turn: Turn = {"role": "user", "content": [prompt]}
        return list(self.tokenizer.convert_ids_to_tokens(self.plain.chat([turn], add_generation_prompt=True)))


def whole_sentences(text: str) -> str:
    """Return `text` without an unfinished sentence at its end; "" if no sentence is finished."""
    end = max((end for start, end in sentence_spans(text) if finished(text[start:end])), default=0)
    return text[:end]
