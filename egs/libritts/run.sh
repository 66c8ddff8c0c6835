#!/usr/bin/env bash
# LibriTTS at 24 kHz: train-clean-100 and 360, dev-clean, test-clean; other parts by --data_prep_options "--train ...".
# Options: --help, and recipes/tts.sh, which says what they mean.
set -euo pipefail
here=$(dirname "$0")
recipes=$here/../../recipes
exec "$recipes/tts.sh" \
  --corpus "$here/local/corpus.yaml" \
  --work_dir "$here" \
  --sample_rate 24000 \
  --codec_config "$recipes/conf/codec_24k_15hz.yaml" \
  --aligner_config "$recipes/conf/aligner_24k.yaml" \
  --lm_config "$recipes/conf/lm_base.yaml" \
  "$@"
