#!/bin/bash
# espeak-ng's Mandarin voice `cmn` reads Chinese characters as English words and digits in 1.51; 1.52.0 reads them as Chinese.
#
# In 1.51 (Debian 12's) the dictionary gives pinyin in Latin letters, and `cmn` ("latin as English") reads Latin letters in
# English: 你 (ni3) becomes "ni three". A recogniser writes "King 3, Lee 4". The voice `cmn-latn-pinyin` of the same version
# reads the same text as Chinese. There is no error and no warning.
#
# Seen, phonemes of 你好:
#   1.51    cmn: (en)nɪ5θɹˈiː5 hˌeɪ5ə5θɹˈiː5(cmn)   cmn-latn-pinyin: nˈiɜ χˈɑu2
#   1.52.0  cmn: ni2χˈɑu2
# Exits 0 while this is so, 1 when it is not. Needs Debian 12 (apt-get download; nothing is installed in the system).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq espeak-ng=1.51+dfsg-10+deb12u2 espeak-ng-data=1.51+dfsg-10+deb12u2 libespeak-ng1=1.51+dfsg-10+deb12u2 libsonic0 libpcaudio0 2> apt.log \
  || { cat apt.log >&2; exit 1; }
for package in *.deb; do dpkg -x "$package" old; done
lib=$(dirname "$(find old -name 'libespeak-ng.so.1' | head -1)")
old() { LD_LIBRARY_PATH=$lib ESPEAK_DATA_PATH=$lib old/usr/bin/espeak-ng -q --ipa -v "$1" 你好 | tr '\n' ' '; }
english=$(old cmn)
chinese=$(old cmn-latn-pinyin)
echo "1.51   cmn: $english  cmn-latn-pinyin: $chinese"

python3 -m pip install -q --disable-pip-version-check --no-deps --target new espeakng-loader==0.2.4
new=$(python3 - <<'PY'
import ctypes
import sys

sys.path.insert(0, "new")
import espeakng_loader

espeak = ctypes.CDLL(espeakng_loader.get_library_path())
espeak.espeak_Initialize(2, 0, espeakng_loader.get_data_path().encode(), 0)
espeak.espeak_TextToPhonemes.restype = ctypes.c_char_p
assert espeak.espeak_SetVoiceByName(b"cmn") == 0
print(espeak.espeak_TextToPhonemes(ctypes.byref(ctypes.c_char_p("你好".encode())), 1, 2).decode())
PY
)
echo "1.52.0 cmn: $new"
[[ $english == *"(en)"* && $chinese != *"(en)"* && $new != *"(en)"* ]]
