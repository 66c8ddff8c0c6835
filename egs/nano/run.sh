#!/usr/bin/env bash
# The shipped model, from a folder that holds LibriSpeech, LJSpeech, VCTK or Kaldi corpora: --corpus_dir DIR.
# Options: see recipes/tts.sh --help.
set -euo pipefail
cd "$(dirname "$0")"
exec ../../recipes/tts.sh \
  --codec_config ../../recipes/conf/codec_nano.yaml \
  --aligner_config ../../recipes/conf/aligner.yaml \
  --lm_config ../../recipes/conf/lm_nano.yaml \
  --tempo "1.0 1.0 0.92 1.09 0.85 1.17" \
  --data_prep_options "--exclude allison" \
  --trials 50 \
  "$@"
