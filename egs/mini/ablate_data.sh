#!/usr/bin/env bash
# A language model over hours of data and steps of training: each point is a training of its own, from the beginning to the
# end of its schedule, on a part of the recordings; all speak the same trials.
#
#   --frames DIR        frame packs train/ and valid/ (dump/<codec> of a recipe that has run its stage 4)
#   --codec DIR         model directory of the codec that made them, and of the aligner
#   --lm_config FILE    settings of the language model
#   --points "N:S ..."  trainings of S steps on every Nth recording
#   --trials TSV        what is spoken (data/trials_test.tsv of the same recipe)
#   --work_dir DIR      where the runs go
#   --fit "..."         more options for recipes/train.py
#   --synthesis "..."   more options for recipes/synthesize.py
#   --whisper DIR       recogniser of the error rates (tools/get_whisper.sh)
#   --python PROGRAM    the interpreter with the extras of setup.py
#
# What is done is skipped; curves.md and curves.png (losses on validation speakers) and table.md (scores) come last.
set -euo pipefail
export LC_ALL=C.UTF-8
here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
frames='' codec=$here/../../latent_tts/models/nano lm_config=$here/conf/ablation/lm_aligned.yaml
points='8:900 4:900 2:900 1:225 1:450 1:900 1:1800' trials='' work_dir=$here/exp/data fit='' synthesis='' whisper=''
python=$here/../../.venv/bin/python
readonly here recipes=$here/../../recipes
. "$recipes/parse_options.sh"
fail() { echo "ablate_data.sh: error: $*" >&2; exit 2; }
[ -d "$frames/train" ] || fail "--frames: no frame packs at '$frames'; stage 4 of a recipe leaves them in dump/"
[ -f "$trials" ] || fail "--trials: no file '$trials'"
[ -f "$lm_config" ] || fail "--lm_config: no file '$lm_config'"
[ -x "$python" ] || fail "--python $python does not run; 'make test' installs all into .venv"
for point in $points; do
  [[ $point =~ ^[1-9][0-9]*:[1-9][0-9]*$ ]] || fail "--points: '$point' is not N:STEPS"
done
rows=() runs=()
for point in $points; do
  every=${point%:*} steps=${point#*:} part=$work_dir/frames_$every exp=$work_dir/every_${every}_steps_$steps
  "$python" "$recipes/thin_pack.py" --pack "$frames/train" --every "$every" --out "$part/train"
  ln -sfn "$(cd "$frames/valid" && pwd)" "$part/valid"
  # shellcheck disable=SC2086
  [ -e "$exp/train.done" ] || "$python" "$recipes/train.py" lm --config "$lm_config" --data "$part" --exp "$exp" \
    --fit.progress false --task.training.steps "$steps" $fit
  [ -e "$exp/model/phones.txt" ] || "$python" "$recipes/pack_model.py" lm --exp "$exp" --out "$exp/model"
  [ -e "$exp/model/codec.safetensors" ] || "$python" "$recipes/adopt_parts.py" --into "$exp/model" "$codec"
  # shellcheck disable=SC2086
  [ -e "$exp/speak/wav.scp" ] || "$python" "$recipes/synthesize.py" --model "$exp/model" --trials "$trials" \
    --out "$exp/speak/wav" --scp "$exp/speak/wav.scp" $synthesis
  [ -e "$exp/speak/score.json" ] || "$python" "$recipes/score.py" --trials "$trials" --wavs "$exp/speak/wav" \
    --out "$exp/speak" --name "1/$every of the data, $steps steps" ${whisper:+--whisper "$whisper"}
  rows+=("$exp/speak/row.md") runs+=("1/$every, $steps=$exp")
done
"$python" "$recipes/learning_curves.py" --out "$work_dir" "${runs[@]}"
awk 'FNR > 2 || NR < 3' "${rows[@]}" | tee "$work_dir/table.part"
mv "$work_dir/table.part" "$work_dir/table.md"
