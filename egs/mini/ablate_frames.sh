#!/usr/bin/env bash
# What a choice in the codec does to the language model on its frames: codecs on equal budgets, one choice changed at a
# time, and the same language model on the frames of each.
#
#   --work_dir DIR      that of a recipe which has run its stages 1 and 2: data/ and dump/audio/
#   --trials TSV        what is spoken (recipes/make_trials.py --protocol cross); default: data/cross.tsv in it
#   --out DIR           where all goes; default: exp/frames in it
#   --variants "..."    codecs of conf/ablation; default: the four widths of the noise
#   --codec_fit "..."   more options for recipes/train.py, for all codecs
#   --lm_config FILE    settings of the language model; default: conf/ablation/lm_aligned.yaml
#   --conf_dir DIR      lm_VARIANT.yaml in it are the settings where frames are others than --lm_config is for
#   --encoding --voices --seeds --steps --fit --synthesis --timing --whisper --python     as of recipes/compare_corpus.sh
#
# What is done is skipped. codecs/table.md has the codecs alone, lm/table.md what is spoken through them.
set -euo pipefail
here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
work_dir='' trials='' out='' variants='sigma_0 sigma_0.25 base sigma_0.75' codec_fit='' conf_dir='' encoding='' voices=1.0
lm_config=$here/conf/ablation/lm_aligned.yaml seeds='0 1' steps=5 fit='' synthesis='' timing='' whisper=''
python=$here/../../.venv/bin/python
readonly here recipes=$here/../../recipes
. "$recipes/parse_options.sh"
fail() { echo "ablate_frames.sh: error: $*" >&2; exit 2; }
out=${out:-$work_dir/exp/frames} trials=${trials:-$work_dir/data/cross.tsv}
[ -f "$trials" ] || fail "no list of trials at $trials; recipes/make_trials.py makes it, --trials and --work_dir say where"
[ -f "$lm_config" ] || fail "--lm_config: no file '$lm_config'"
export PYTHONPATH=$here/../..${PYTHONPATH:+:$PYTHONPATH}

"$here/ablate_codec.sh" --audio "$work_dir/dump/audio" --trials "$trials" --work_dir "$out/codecs" --variants "$variants" \
  --fit "$codec_fit" --python "$python"
mkdir -p "$out/conf"
for name in $variants; do
  config=$lm_config
  if [ -n "$conf_dir" ] && [ -f "$conf_dir/lm_$name.yaml" ]; then config=$conf_dir/lm_$name.yaml; fi
  cp "$config" "$out/conf/lm_$name.yaml"
done
exec "$recipes/compare_corpus.sh" --work_dir "$work_dir" --out "$out/lm" --conf_dir "$out/conf" \
  --codecs "$out/codecs" --encoding "$encoding" --voices "$voices" --trials "$trials" --systems "$variants" \
  --seeds "$seeds" --steps "$steps" --fit "$fit" --synthesis "$synthesis" --timing "$timing" --whisper "$whisper" \
  --python "$python"
