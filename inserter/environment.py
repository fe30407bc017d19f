"""Repair torchaudio after an installation: `python -m inserter.environment`.

PyPI's torchaudio (2.8-2.11) is linked against CUDA. With a CPU build of torch, importing torchaudio
raises OSError (libc10_cuda.so), and so do imports of peft and of transformers' processors.

torchaudio treats a *missing* native library as "no extension". If torch has no CUDA, this module
therefore renames torchaudio's libraries. resample, MelSpectrogram, MFCC and add_noise then work;
forced_align does not.
"""

import importlib.util
from pathlib import Path


def disable_cuda_torchaudio() -> list[Path]:
    """Rename torchaudio's CUDA-linked libraries if torch has no CUDA.

    Returns the paths that were renamed. A second call is safe.
    """
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

    print(f"torchaudio {torchaudio.__version__}: {len(renamed)} CUDA-linked libraries disabled")
