#!/bin/bash
# ruamel.yaml 0.19.1 refuses or reads the same file, depending on whether ruamel.yaml.clib happens to be installed.
#
# YAML 1.2 allows a plain scalar with a colon inside [...]: [en:us, 12:30]. YAML(typ="safe") selects the C parser if
# ruamel.yaml.clib 0.2.15 can be imported. The C parser refuses the list: "found unexpected ':'". Without that package the
# same call selects the Python parser, which reads two texts. ruamel.yaml 0.19 does not require the package. So an
# environment that was upgraded keeps the C parser, and a new one has the Python parser. DVC 3.67.1 reads params.yaml by
# this call: with the same versions, a file works on one machine and stops on another.
#
# Seen:
#   with clib     ScannerError: found unexpected ':'
#   without clib  {'languages': ['en:us', '12:30']}
# Exits 0 while this is so, 1 when it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf 'languages: [en:us, 12:30]\n' > params.yaml
python3 -m pip install -q --disable-pip-version-check --no-deps --target alone ruamel.yaml==0.19.1
cp -r alone both
python3 -m pip install -q --disable-pip-version-check --no-deps --target clib ruamel.yaml.clib==0.2.15
cp clib/_ruamel_yaml* both/
cat > read.py <<'PY'
from ruamel.yaml import YAML, YAMLError

try:
    with open("params.yaml") as file:
        print(YAML(typ="safe").load(file))
except YAMLError as error:
    print(f"{type(error).__name__}: {error.problem}")
PY
with=$(PYTHONPATH=both python3 -S read.py)
without=$(PYTHONPATH=alone python3 -S read.py)
echo "with clib     $with"
echo "without clib  $without"
[[ $with == *"unexpected ':'"* && $without == *"'en:us'"* ]]
