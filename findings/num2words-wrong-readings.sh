#!/bin/bash
# num2words 0.5.14 reads numbers wrongly, without an error, in languages that it lists.
#
# A part of the word is lost or misspelt in whole numbers (Turkish loses a thousand), and decimals lose zeros or their digits.
# ICU's rules, as icu_rbnf 0.2.0 has them, say what a speaker says.
#
# Seen, num2words | ICU:
#   it 118     centodicotto                                 | centodiciotto
#   sv 40      förtio                                       | fyrtio
#   es 71000   setenta y uno mil                            | setenta y un mil
#   tr 581929  beşyüzseksenbindokuzyüzyirmidokuz (580,929)  | beş yüz seksen bir bin dokuz yüz yirmi dokuz
#   fa 1.05    یک و نیم (one and a half)
#   bn 0.05    শূন্য দশমিক পাঁচ (zero point five)
#   ar 0.05    ", خمس" (a comma and five)
#   vi 1.5     một phẩy năm mươi (one point fifty), tr 1.5 likewise
# Exits 0 while all of these are read so, 1 when one is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet num2words==0.5.14 icu_rbnf==0.2.0
"$folder/venv/bin/python" - <<'PY'
import sys

import icu_rbnf
from num2words import num2words

wrong = {("it", 118): "centodicotto", ("sv", 40): "förtio", ("es", 71_000): "setenta y uno mil"}
wrong["tr", 581_929] = "beşyüzseksenbindokuzyüzyirmidokuz"
same = True
for (language, number), seen in wrong.items():
    said, right = num2words(number, lang=language), icu_rbnf.spellout(number, language)
    print(f"{language} {number}: {said} | {right}")
    same &= said == seen and said.replace(" ", "") != right.replace(" ", "").replace("\u00ad", "")
decimals = {("ar", 0.05): ", خمس", ("bn", 0.05): "শূন্য দশমিক পাঁচ", ("fa", 1.05): "یک و نیم", ("vi", 1.5): "một phẩy năm mươi"}
decimals["tr", 1.5] = "birvirgülelli"
for (language, number), seen in decimals.items():
    said = num2words(number, lang=language)
    print(f"{language} {number}: {said}")
    same &= said.strip() == seen
sys.exit(0 if same else 1)
PY
