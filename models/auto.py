"""Enter the classes into transformers' registries, so that AutoModel and its like find them.

Each function serves one of transformers' modules. The code of an exported model has no such entry:
there `auto_map` names the classes, and two exports may have two versions of a class.
"""

from models.configuration import InserterConfig


def register_configuration() -> None:
    """Let AutoConfig find `InserterConfig`."""
    from transformers import AutoConfig

    AutoConfig.register(InserterConfig.model_type, InserterConfig, exist_ok=True)


def register_processor() -> None:
    """Let AutoProcessor find `InserterProcessor`."""
    from transformers import AutoProcessor

    from models.processor import InserterProcessor

    AutoProcessor.register(InserterConfig, InserterProcessor, exist_ok=True)


def register_model() -> None:
    """Let the automatic classes that fit find `InserterForConditionalGeneration`."""
    import transformers

    from models.modeling import AUTO_CLASSES, InserterForConditionalGeneration

    for name in AUTO_CLASSES:
        getattr(transformers, name).register(InserterConfig, InserterForConditionalGeneration, exist_ok=True)
