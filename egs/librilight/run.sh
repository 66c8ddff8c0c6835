#!/usr/bin/env bash
# Libri-Light at 16 kHz: the part small, other parts by --data_prep_options "--parts small medium". Its texts come from
# Libriheavy's manifests ("--manifests FILE ...") or from a recogniser ("--whisper DIR"), see local/data_prep.py --help.
# Options: --help, and recipes/tts.sh, which says what they mean.
set -euo pipefail
here=$(dirname "$0")
recipes=$here/../../recipes
exec "$recipes/tts.sh" \
  --corpus "$here/local/corpus.yaml" \
  --data_prep "$here/local/data_prep.py" \
  --work_dir "$here" \
  --codec_config "$recipes/conf/codec_nano.yaml" \
  --aligner_config "$recipes/conf/aligner.yaml" \
  --lm_config "$recipes/conf/lm_nano.yaml" \
  "$@"
