"""The step after an installation: `python -m inserter.environment`.

PyPI's torchaudio (2.8-2.11) is linked to CUDA. Beside a CPU build of torch its import raises OSError (libc10_cuda.so), and
so do peft and transformers' processors. torchaudio treats a *missing* native library as "no extension", so beside a
torch without CUDA its libraries are renamed. resample, MelSpectrogram, MFCC and add_noise work so; forced_align does not.
"""

import importlib.util
from pathlib import Path


def disable_cuda_torchaudio() -> list[Path]:
    """Rename torchaudio's CUDA-linked libraries when torch has no CUDA. Returns what was renamed; safe to repeat."""
    import torch

    spec = importlib.util.find_spec("torchaudio")
    if torch.version.cuda is not None or spec is None or spec.origin is None:
        return []
    libraries = sorted((Path(spec.origin).parent / "lib").glob("*.so"))
    for library in libraries:
        library.rename(library.with_suffix(".so.disabled"))
    return libraries


if __name__ == "__main__":
    renamed = disable_cuda_torchaudio()
    import torchaudio

    print(f"torchaudio {torchaudio.__version__}: {len(renamed)} CUDA-linked libraries set aside")
