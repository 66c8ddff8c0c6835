#!/usr/bin/env bash
# A few minutes of LibriSpeech, all stages, small networks: shows that the recipe runs, not what it can do.
# Options: see recipes/tts.sh --help.
set -euo pipefail
cd "$(dirname "$0")"
exec ../../recipes/tts.sh \
  --corpus_dir corpus \
  --codec_config conf/codec.yaml \
  --aligner_config conf/aligner.yaml \
  --lm_config conf/lm.yaml \
  --trials 6 \
  "$@"
