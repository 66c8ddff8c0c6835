#!/usr/bin/env bash
# Codecs on equal budgets, one choice changed at a time, and a table of what they score: the rows of RESULTS.md.
#
#   --audio DIR       audio packs train/ and valid/ (dump/audio of a recipe that has run its stages 1 and 2)
#   --trials TSV      whose references are scored (data/trials_test.tsv of the same recipe)
#   --work_dir DIR    where the runs go
#   --variants "..."  which of conf/ablation/; default: all codecs
#   --fit "..."       more options for recipes/train.py
#   --whisper DIR     recogniser of the error rates (tools/get_whisper.sh)
#   --python PROGRAM  the interpreter with the extras of setup.py
#
# A run that is done is skipped; table.md comes last. pack.log of a run has its latent signal-to-noise ratio.
set -euo pipefail
export LC_ALL=C.UTF-8
here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
audio='' trials='' work_dir=$here/exp/ablation variants='' fit='' whisper='' python=$here/../../.venv/bin/python
readonly here recipes=$here/../../recipes
. "$recipes/parse_options.sh"
fail() { echo "ablate_codec.sh: error: $*" >&2; exit 2; }
[ -d "$audio/train" ] || fail "--audio: no audio packs at '$audio'; stage 2 of a recipe leaves dump/audio"
[ -f "$trials" ] || fail "--trials: no file '$trials'"
[ -x "$python" ] || fail "--python $python does not run; 'make test' installs all into .venv"
if [ -z "$variants" ]; then
  variants=$(cd "$here/conf/ablation" && printf '%s\n' *.yaml | sed -n '/^\(head\|lm\)_/!s/\.yaml$//p')
fi
mkdir -p "$work_dir"
scores=()
for name in $variants; do
  config=$here/conf/ablation/$name.yaml exp=$work_dir/$name
  [ -f "$config" ] || fail "--variants: no $config"
  layers=(--config "$here/conf/ablation/base.yaml")
  [ "$name" = base ] || layers+=(--config "$config")
  # shellcheck disable=SC2086
  [ -e "$exp/train.done" ] ||
    "$python" "$recipes/train.py" codec "${layers[@]}" --data "$audio" --exp "$exp" --fit.progress false $fit
  [ -e "$exp/model/phones.txt" ] ||
    "$python" "$recipes/pack_model.py" codec --exp "$exp" --out "$exp/model" --measure "$audio/train" 2>&1 |
      tee "$exp/pack.log"
  [ -e "$exp/eval/score.json" ] ||
    "$python" "$recipes/score_codec.py" --model "$exp/model" --trials "$trials" --out "$exp/eval" \
      --systems codec --pictures 0 ${whisper:+--whisper "$whisper"}
  scores+=("$name=$exp/eval/score.json")
done
"$python" "$recipes/gather.py" "${scores[@]}" | tee "$work_dir/table.part"
mv "$work_dir/table.part" "$work_dir/table.md"
