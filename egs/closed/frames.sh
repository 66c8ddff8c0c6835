#!/usr/bin/env bash
# What a codec's noise and frame rate do to the language model on its frames, in the world of run.sh: calls
# ../mini/ablate_frames.sh. It wants what run.sh has made up to its lists of trials.
#
#   --work_dir DIR      that of run.sh; all goes to exp/frames in it; default: beside this file
#   --variants --codec_fit --seeds --steps --fit --synthesis --timing --whisper --python     as of ../mini/ablate_frames.sh
#
# A model's settings are conf/frames/lm_VARIANT.yaml where frames are others than conf/lm_aligned.yaml is for.
set -euo pipefail
here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
work_dir=$here variants='sigma_0 sigma_0.25 base sigma_0.75 rate_6.25 rate_25' codec_fit='' seeds='0 1' steps=5 fit=''
synthesis='' timing='' whisper='' python=$here/../../.venv/bin/python
readonly here
. "$here/../../recipes/parse_options.sh"
exec "$here/../mini/ablate_frames.sh" --work_dir "$work_dir" --variants "$variants" --codec_fit "$codec_fit" \
  --lm_config "$here/conf/lm_aligned.yaml" --conf_dir "$here/conf/frames" --seeds "$seeds" --steps "$steps" --fit "$fit" \
  --synthesis "$synthesis" --timing "$timing" --whisper "$whisper" --python "$python"
