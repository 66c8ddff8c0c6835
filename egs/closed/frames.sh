#!/usr/bin/env bash
# What a codec's noise and frame rate do to the language model on its frames: codecs on equal budgets, one choice changed
# at a time, and the same pointer model on the frames of each, in the world of run.sh. It wants what run.sh has made up to
# its lists of trials.
#
#   --work_dir DIR      that of run.sh; all goes to exp/frames in it; default: beside this file
#   --variants "..."    codecs of ../mini/conf/ablation
#   --codec_fit "..."   more options for recipes/train.py, for all codecs
#   --seeds --steps --fit --synthesis --timing --whisper --python     as of recipes/compare.sh
#
# A model's settings are conf/frames/lm_VARIANT.yaml where frames are others than conf/lm_aligned.yaml is for. What is
# done is skipped. exp/frames/codecs/table.md has the codecs alone, exp/frames/lm/table.md what is spoken through them.
set -euo pipefail
here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
recipes=$here/../../recipes
work_dir=$here variants='sigma_0 sigma_0.25 base sigma_0.75 rate_6.25 rate_25' codec_fit='' seeds='0 1' steps=5 fit=''
synthesis='' timing='' whisper='' python=$here/../../.venv/bin/python
readonly here recipes
. "$recipes/parse_options.sh"
fail() { echo "frames.sh: error: $*" >&2; exit 2; }
data=$work_dir/data audio=$work_dir/dump/audio out=$work_dir/exp/frames
[ -f "$data/cross.tsv" ] || fail "no $data/cross.tsv; run.sh makes it, --work_dir says where"
export PYTHONPATH=$here/../..${PYTHONPATH:+:$PYTHONPATH}

"$here/../mini/ablate_codec.sh" --audio "$audio" --trials "$data/cross.tsv" --work_dir "$out/codecs" \
  --variants "$variants" --fit "$codec_fit" --python "$python"
mkdir -p "$out/conf"
for name in $variants; do
  for split in train valid; do
    [ -e "$out/codecs/$name/frames/$split/clips.json" ] || "$python" "$recipes/encode.py" --data_dir "$data/$split" \
      --pack "$audio/$split" --codec "$out/codecs/$name/model" --out "$out/codecs/$name/frames/$split"
  done
  config=$here/conf/frames/lm_$name.yaml
  [ -f "$config" ] || config=$here/conf/lm_aligned.yaml
  cp "$config" "$out/conf/lm_$name.yaml"
done
exec "$recipes/compare.sh" --conf_dir "$out/conf" --codecs "$out/codecs" --trials "$data/cross.tsv" --systems "$variants" \
  --seeds "$seeds" --steps "$steps" --fit "$fit" --synthesis "$synthesis" --timing "$timing" --whisper "$whisper" \
  --python "$python" --work_dir "$out/lm"
