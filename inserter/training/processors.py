"""Make the processor of the configured LM and encoder. No weight is loaded."""

from inserter.assets import encoder_folder, lm_folder
from inserter.errors import InserterError
from inserter.params import Assets
from models.processor import InserterProcessor


def new_processor(assets: Assets, delimiters: str = "tokens", *, recogniser: bool = False) -> InserterProcessor:
    """Return the processor of the configured LM and encoder.

    delimiters: what stands around a clip. recogniser: whether the adapter is `decoder`.

    Raises InserterError for an LM whose chat template is missing or changes a text.
    """
    processor = InserterProcessor.from_parts(
        str(lm_folder(assets.lm)), str(encoder_folder(assets.encoder)), delimiters, recogniser=recogniser
    )
    if not processor.tokenizer.chat_template:
        remedy = "Use the LM's instruct version, or add a chat_template.jinja to its folder"
        raise InserterError(f"{assets.lm} has no chat template", remedy)
    try:
        processor.chat(["Say yes.", None])
    except ValueError as error:
        raise InserterError(
            f"{assets.lm}: {error}", "Set assets.lm to another LM, or correct the file that the message names"
        ) from error
    return processor
