#!/usr/bin/env bash
# Systems of about 8 M parameters beside each other: conf/ablation/lm_*.yaml, or --systems "aligned prefix".
# Options: --help, and recipes/compare_corpus.sh, which says what they mean.
#
# They speak frames of the shipped codec, and codes of the RVQ twin that stage 3 of a recipe trains with --codec_config
# recipes/conf/codec_rvq.yaml (--rvq_codec).
set -euo pipefail
here=$(dirname "$0")
exec "$here/../../recipes/compare_corpus.sh" \
  --work_dir "$here" \
  --conf_dir "$here/conf/ablation" \
  --alignment "--min_score -99" \
  "$@"
