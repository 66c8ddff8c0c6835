#!/usr/bin/env bash
# LibriSpeech at 16 kHz: train-clean-100, dev-clean and test-clean; other parts by --data_prep_options "--train ...".
# Options: --help, and recipes/tts.sh, which says what they mean.
set -euo pipefail
here=$(dirname "$0")
recipes=$here/../../recipes
exec "$recipes/tts.sh" \
  --corpus "$here/local/corpus.yaml" \
  --work_dir "$here" \
  --codec_config "$recipes/conf/codec_nano.yaml" \
  --aligner_config "$recipes/conf/aligner.yaml" \
  --lm_config "$recipes/conf/lm_nano.yaml" \
  "$@"
