"""Arrays that are written batch by batch and then mapped into memory, one .npy file each."""

import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import numpy as np


def write_columns(folder: Path, batches: Iterable[Mapping[str, np.ndarray]]) -> None:
    """Write the arrays of all batches, joined along their first axis, to `folder/NAME.npy`.

    Every batch has the same names and types. Memory holds one batch. The caller marks the folder as
    complete.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        files: dict[str, IO[bytes]] = {}
        shapes: dict[str, tuple[int, ...]] = {}
        types: dict[str, np.dtype] = {}
        for batch in batches:
            for name, array in batch.items():
                if name not in files:
                    files[name] = stack.enter_context((folder / f"{name}.npy").open("wb"))
                    shapes[name], types[name] = (0, *array.shape[1:]), array.dtype
                    _header(files[name], shapes[name], types[name])
                files[name].write(np.ascontiguousarray(array, dtype=types[name]).tobytes())
                shapes[name] = (shapes[name][0] + len(array), *shapes[name][1:])
        for name, file in files.items():
            file.seek(0)
            _header(file, shapes[name], types[name])  # numpy leaves room for any number of rows
            file.flush()
            os.fsync(file.fileno())


def read_columns(folder: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Map the arrays that `write_columns` wrote."""
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}


def _header(file: IO[bytes], shape: tuple[int, ...], kind: np.dtype) -> None:
    form = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, form)
