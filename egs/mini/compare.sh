#!/usr/bin/env bash
# Systems of about 8 M parameters beside each other: all of conf/ablation/lm_*.yaml, or --systems "aligned prefix".
# Options: --help, and recipes/compare.sh, which says what they mean.
#
# They speak frames of the shipped codec, and codes of the RVQ twin that stage 3 of a recipe trains with --codec_config
# recipes/conf/codec_rvq.yaml. README.md has the commands that make packs and trials.
set -euo pipefail
here=$(dirname "$0")
nano=$here/../../latent_tts/models/nano
exec "$here/../../recipes/compare.sh" \
  --conf_dir "$here/conf/ablation" \
  --codec "$nano" \
  --frames "$here/dump/nano" \
  --aligner "$nano" \
  --trials "$here/data/prefix.tsv $here/data/cross.tsv" \
  --work_dir "$here/exp/compare" \
  "$@"
