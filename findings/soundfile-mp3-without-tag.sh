#!/bin/bash
# soundfile 0.14.0 (libsndfile 1.2.2): an MP3 of variable bit rate without its first "Xing" frame is read in part, without an error.
#
# The Xing frame is optional: it is written by encoders that can go back to the start, and is lost where a stream is cut or joined.
# libsndfile takes the length from mpg123's estimate, which is the size of the file over the size of the first frames, and stops
# there. A decoder that reads frames until there are none (miniaudio 1.71) gives all of it from the same bytes.
# The file is made here: 10 s, a third of it noise and the rest near silence, so that the first frames are the largest.
#
# Seen: with the frame 441000 of 441000 samples; without it soundfile 83306, miniaudio 442368 (with the encoder's padding).
# Exits 0 while soundfile loses more than half of the sound, 1 when it does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet soundfile==0.14.0 miniaudio==1.71 numpy
"$folder/venv/bin/python" - 2>/dev/null <<'PY'
import io
import sys

import miniaudio
import numpy as np
import soundfile

rate = 44_100
wave = 0.3 * np.random.default_rng(0).standard_normal(10 * rate).clip(-3, 3)
wave[len(wave) // 3 :] *= 1e-4
buffer = io.BytesIO()
soundfile.write(buffer, wave, rate, format="MP3", bitrate_mode="VARIABLE", compression_level=0.5)
tagged = buffer.getvalue()
assert 0 < tagged.find(b"Xing") < 48, "the first frame is the tag"
bare = tagged[tagged.find(tagged[:2], 48) :]
samples = [len(soundfile.read(io.BytesIO(data))[0]) for data in (tagged, bare)]
frames = miniaudio.decode(bare, nchannels=1, sample_rate=rate).num_frames
print(f"soundfile {soundfile.__version__}, libsndfile {soundfile.__libsndfile_version__}, of {len(wave)} samples:")
print(f"  with the Xing frame: soundfile {samples[0]}")
print(f"  without it:          soundfile {samples[1]}, miniaudio {frames}")
sys.exit(0 if samples[0] == len(wave) and samples[1] < len(wave) / 2 <= frames else 1)
PY
