"""A tiny model whose answers depend on what it is asked: random weights alone give one answer to everything."""

from pathlib import Path

import torch

from models import InserterForConditionalGeneration, InserterProcessor


def lively(source: Path, folder: Path) -> Path:
    """Save the tiny model in `source` to `folder`, with attention that outweighs the last token."""
    model = InserterForConditionalGeneration.from_pretrained(source)
    torch.manual_seed(1)
    with torch.no_grad():
        for layer in model.language_model.model.layers:
            for weight in layer.self_attn.parameters():
                weight.normal_(std=0.5)
    model.save_pretrained(folder)
    InserterProcessor.from_pretrained(source).save_pretrained(folder)
    return folder
