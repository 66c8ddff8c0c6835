#!/usr/bin/env bash
# Heads on equal budgets, each trained anew on one frozen language model, and the scores of what they speak.
#
#   --frames DIR      frame packs train/ and valid/ (dump/<codec> of a recipe that has run its stage 4)
#   --init DIR        model directory whose language model, codec and aligner all of them share
#   --trials TSV      what is spoken (data/trials_test.tsv of the same recipe)
#   --work_dir DIR    where the runs go
#   --variants "..."  which of conf/ablation/head_*.yaml; default: all
#   --steps "..."     numbers of steps to speak with
#   --fit "..."       more options for recipes/train.py
#   --synthesis "..." more options for recipes/synthesize.py
#   --whisper DIR     recogniser of the error rates (tools/get_whisper.sh)
#   --python PROGRAM  the interpreter with the extras of setup.py
#
# What is done is skipped; table.md comes last.
set -euo pipefail
export LC_ALL=C.UTF-8
here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
frames='' init=$here/../../latent_tts/models/nano trials='' work_dir=$here/exp/ablation variants='' steps='1 10'
fit='' synthesis='' whisper='' python=$here/../../.venv/bin/python
readonly here recipes=$here/../../recipes
. "$recipes/parse_options.sh"
fail() { echo "ablate_head.sh: error: $*" >&2; exit 2; }
[ -d "$frames/train" ] || fail "--frames: no frame packs at '$frames'; stage 4 of a recipe leaves them in dump/"
[ -f "$trials" ] || fail "--trials: no file '$trials'"
[ -x "$python" ] || fail "--python $python does not run; 'make test' installs all into .venv"
[ -n "$variants" ] || variants=$(cd "$here/conf/ablation" && printf '%s\n' head_*.yaml | sed 's/\.yaml$//')
rows=()
for name in $variants; do
  exp=$work_dir/$name
  # shellcheck disable=SC2086
  [ -e "$exp/train.done" ] || "$python" "$recipes/train.py" head --init "$init" \
    --config "$here/conf/ablation/$name.yaml" --data "$frames" --exp "$exp" --fit.progress false $fit
  [ -e "$exp/model/phones.txt" ] || "$python" "$recipes/pack_model.py" head --exp "$exp" --out "$exp/model"
  "$python" "$recipes/adopt_parts.py" --into "$exp/model" "$init"
  for count in $steps; do
    spoken=$exp/speak_$count
    # shellcheck disable=SC2086
    [ -e "$spoken/wav.scp" ] || "$python" "$recipes/synthesize.py" --model "$exp/model" --trials "$trials" \
      --out "$spoken/wav" --scp "$spoken/wav.scp" --steps "$count" $synthesis
    [ -e "$spoken/score.json" ] || "$python" "$recipes/score.py" --trials "$trials" --wavs "$spoken/wav" \
      --out "$spoken" --name "$name, steps $count" ${whisper:+--whisper "$whisper"}
    rows+=("$spoken/row.md")
  done
done
awk 'FNR > 2 || NR < 3' "${rows[@]}" | tee "$work_dir/table.part"
mv "$work_dir/table.part" "$work_dir/table.md"
