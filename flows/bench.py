"""`python -m flows.bench`: ratios measured side by side, in one run, written to reports/bench.json."""

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

from stages.common.errors import InserterError
from stages.common.files import write_json
from stages.common.params import load
from stages.common.paths import REPORTS
from stages.common.quiet import quiet

Entry = dict[str, Any]
ENTRIES: dict[str, Callable[[], Entry]] = {}


def entry(measure: Callable[[], Entry]) -> Callable[[], Entry]:
    """Register `measure` under its own name. It returns what `compare` does."""
    ENTRIES[measure.__name__] = measure
    return measure


def compare(name: str, a: Callable[[], Any], b: Callable[[], Any], against: str, pairs: int = 5) -> Entry:
    """How many times faster `a` is than `b`: seconds of b / seconds of a, over pairs that alternate in order.

    Both run once unmeasured first. {"name", "ratio", "low", "high", "against"}: the median of the ratios of the pairs, the
    smallest and the largest. `against` says what b is.
    """
    a(), b()
    ratios = []
    for number in tqdm(range(pairs), desc=name, unit="pair", file=sys.stderr):
        order = (a, b) if number % 2 == 0 else (b, a)
        seconds = {function: _seconds(function) for function in order}
        ratios.append(seconds[b] / seconds[a])
    return {"name": name, "ratio": statistics.median(ratios), "low": min(ratios), "high": max(ratios), "against": against}


def _seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


@entry
def encode_true_length() -> Entry:
    """The encoder of params.yaml on clips of 2, 4 and 8 s at their own length, against the same clips padded to 30 s."""
    import torch
    from transformers import WhisperForConditionalGeneration

    from models.encoder import SpeechEncoder
    from stages.common.assets import encoder_folder

    whisper = WhisperForConditionalGeneration.from_pretrained(encoder_folder(load().assets.encoder))
    encoder = SpeechEncoder(whisper.config)
    encoder.load_state_dict(whisper.model.encoder.state_dict())
    encoder.eval()
    generator = torch.Generator().manual_seed(0)
    clips = [torch.randn(1, whisper.config.num_mel_bins, 100 * s, generator=generator) for s in (2, 4, 8)]
    window = 2 * whisper.config.max_source_positions

    def true_length() -> None:
        for clip in clips:
            encoder(clip, torch.tensor([clip.shape[-1]]))

    def padded() -> None:
        for clip in clips:
            wide = torch.nn.functional.pad(clip, (0, window - clip.shape[-1]))
            encoder(wide, torch.tensor([window]))

    with torch.inference_mode():
        return compare("encode_true_length", true_length, padded, "the same clips (2, 4 and 8 s) padded to 30 s")


def main() -> None:
    """Measure the entries named on the command line, or all."""
    quiet()
    names = sys.argv[1:] or list(ENTRIES)
    unknown = [name for name in names if name not in ENTRIES]
    if unknown:
        sys.exit(f"bench: there is no entry {unknown[0]}. The entries are: {', '.join(ENTRIES)}")
    try:
        results = [ENTRIES[name]() for name in names]
    except InserterError as error:
        sys.exit(f"bench: {error}")
    write_json(REPORTS / "bench.json", results)
    for found in results:
        print(f"{found['name']}: {found['ratio']:.2f} ({found['low']:.2f} to {found['high']:.2f}) x {found['against']}")


if __name__ == "__main__":
    main()
