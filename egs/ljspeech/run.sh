#!/usr/bin/env bash
# LJSpeech, one reader, at 16 kHz.
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
