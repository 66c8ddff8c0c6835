#!/usr/bin/env bash
# The shipped model, from a folder that holds LibriSpeech, LJSpeech, VCTK or Kaldi corpora: --corpus_dir DIR.
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
  --encoding "--min_score -1.4" \
  --voices "1.0 1.0 0.92 1.09 0.86 1.15 0.96 1.04 0.81 1.21" \
  --trials 50 \
  "$@"
