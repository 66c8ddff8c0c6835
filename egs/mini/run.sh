#!/usr/bin/env bash
# A few minutes of LibriSpeech, all stages, small networks: shows that the recipe runs, not what it can do.
# Options: --help, and recipes/tts.sh, which says what they mean.
set -euo pipefail
here=$(dirname "$0")
exec "$here/../../recipes/tts.sh" \
  --corpus "$here/local/corpus.yaml" \
  --corpus_dir "$here/corpus" \
  --work_dir "$here" \
  --codec_config "$here/conf/codec.yaml" \
  --aligner_config "$here/conf/aligner.yaml" \
  --lm_config "$here/conf/lm.yaml" \
  --alignment "--min_score -6" \
  --trials 6 \
  "$@"
