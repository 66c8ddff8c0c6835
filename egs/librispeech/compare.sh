#!/usr/bin/env bash
# LatentLM in both its forms, VALL-E, Transfusion and DiT on LibriSpeech: the systems of ../mini/conf/ablation, of about
# 8 M parameters, on the codec, the aligner and the RVQ twin that run.sh has trained (README.md has the commands).
#
#   --work_dir DIR      that of run.sh; default: beside this file
#   --codec --rvq_codec --aligner DIR     other model directories, --frames DIR the frames of that codec
#   --conf_dir DIR      other settings lm_NAME.yaml, --systems "..." some of them
#   --seeds --steps --count --fit --synthesis --timing --whisper --python     as of recipes/compare_corpus.sh
set -euo pipefail
here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
recipes=$here/../../recipes
work_dir=$here codec='' rvq_codec='' aligner='' frames='' conf_dir=$here/../mini/conf/ablation systems='' seeds='0 1 2'
steps=5 count=100 fit='' synthesis='' timing='' whisper='' python=$here/../../.venv/bin/python
readonly here recipes
. "$recipes/parse_options.sh"
exp=$work_dir/exp
exec "$recipes/compare_corpus.sh" --work_dir "$work_dir" --conf_dir "$conf_dir" --codec "${codec:-$exp/codec_nano/model}" \
  --rvq_codec "${rvq_codec:-$exp/codec_rvq/model}" --aligner "${aligner:-$exp/aligner/model}" \
  --frames "${frames:-$work_dir/dump/codec_nano}" --count "$count" --systems "$systems" --seeds "$seeds" --steps "$steps" \
  --fit "$fit" --synthesis "$synthesis" --timing "$timing" --whisper "$whisper" --python "$python"
