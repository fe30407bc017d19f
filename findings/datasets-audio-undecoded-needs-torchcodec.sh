#!/bin/bash
# datasets 5.2.0 cannot load a folder of sound without torchcodec, although no sound is decoded.
#
# `Audio(decode=False)` gives the path and the bytes of a file as they are. A Parquet file with such a column loads without
# torchcodec. `load_dataset("audiofolder")` over the same file stops with an ImportError, with those features too: it encodes each
# example, and `Audio.encode_example` imports torchcodec first, before it looks whether there is anything to encode.
#
# Seen:
#   parquet:      ['bytes', 'path']
#   audiofolder:  ImportError: To support encoding audio data, please install 'torchcodec'.
# Exits 0 while this is so, 1 when it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check datasets==5.2.0 soundfile==0.13.1
mkdir sounds
HF_HOME=$folder/cache HF_HUB_OFFLINE=1 env/bin/python - 2> errors <<'PY' || { cat errors >&2; exit 1; }
import pyarrow
import pyarrow.parquet
import soundfile
from datasets import Audio, Dataset, Features, disable_progress_bars, load_dataset

disable_progress_bars()
soundfile.write("sounds/tone.wav", [0.0, 0.5, 0.0, -0.5] * 100, 16_000)
plain = Features({"audio": Audio(decode=False)})


def shown(load):
    try:
        return sorted(load()[0]["audio"])
    except Exception as error:
        cause = error.__cause__ or error
        return f"{type(cause).__name__}: {' '.join(str(cause).split())[:120]}"


with open("sounds/tone.wav", "rb") as file:
    rows = {"audio": [{"bytes": file.read(), "path": "tone.wav"}]}
pyarrow.parquet.write_table(pyarrow.table(rows), "tone.parquet")
parquet = shown(lambda: load_dataset("parquet", data_files="tone.parquet", features=plain, split="train"))
folder = shown(lambda: load_dataset("audiofolder", data_dir="sounds", features=plain, split="train"))
print("parquet:    ", parquet)
print("audiofolder:", folder)
assert parquet == ["bytes", "path"], parquet
assert folder.startswith("ImportError") and "torchcodec" in folder, folder
PY
