#!/usr/bin/env bash
# Language models on equal terms: each system is trained from several seeds on the same data with the same text units and
# budget, speaks the same trials and is scored. What is done is skipped: after any end, the same command goes on.
#
#   --systems "..."     names: the settings of NAME are conf_dir/lm_NAME.yaml; default: all of conf_dir
#   --conf_dir DIR      where the settings are: their sizes and budgets make the terms equal, table.md says where not
#   --seeds "0 1 2"     of first weights, order of the data and all noise, in training and in speaking
#   --codec DIR         model directory of the sigma-VAE codec, --frames DIR its frame packs train/ and valid/
#   --rvq_codec DIR     model directory of a codec of codes, --codes DIR its frame packs; without: no system of codes
#   --codecs DIR        where systems with a codec of their own have it: NAME/model, and NAME/frames as --frames has them
#   --aligner DIR       model directory of the aligner that finds references' phones
#   --trials "..."      lists, each with a file name of its own (recipes/make_trials.py, protocols prefix and cross);
#                       models are told what the references say. NAME.tsv with NAME/recordings gets a row of these
#   --steps "10 2 5"    numbers of solver steps: the first is spoken with everywhere, the others on the first list
#   --fit "..."         more options for recipes/train.py, for all systems
#   --synthesis "..."   more options for recipes/synthesize.py
#   --timing "..."      more options for benchmarks/real_time.py
#   --whisper DIR       recogniser of the error rates (tools/get_whisper.sh); none: no error rate
#   --work_dir DIR      where all goes: SYSTEM/seed_N/{model,LIST/steps_N}, times.json, plots/ and, last, table.md
#   --python PROGRAM    the interpreter with the extras of setup.py; default: $PYTHON, the checkout's .venv
#
# Any other codec belongs to a system by what its frames are. Exit status: 2 for something to put right, 3 where a training ran
# out of --fit.max_time.
set -euo pipefail
export LC_ALL=C.UTF-8
root=$(CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
systems='' conf_dir='' seeds='0 1 2' codec=$root/latent_tts/models/nano frames='' rvq_codec='' codes='' codecs=''
aligner=$root/latent_tts/models/nano trials='' steps='10 2 5' fit='' synthesis='' timing='' whisper='' work_dir=''
python=${PYTHON:-$root/.venv/bin/python}
readonly root recipes=$root/recipes
. "$recipes/parse_options.sh"

fail() { echo "compare.sh: error: $*" >&2; exit 2; }
listed() { basename "$1" .tsv; }

[ -d "$conf_dir" ] || fail "--conf_dir: no folder '$conf_dir'"
[ -n "$work_dir" ] || fail "--work_dir is wanted: where the runs go"
[ -n "$frames$codes$codecs" ] || fail "--frames, --codes or --codecs is wanted: packs that recipes/encode.py has left"
[ -z "$codes" ] || [ -n "$rvq_codec" ] || fail "--codes wants --rvq_codec, the codec that made them"
[ -n "$trials" ] || fail "--trials is wanted: lists that recipes/make_trials.py has left"
for list in $trials; do [ -f "$list" ] || fail "--trials: no file '$list'"; done
[ -z "$(for list in $trials; do listed "$list"; done | sort | uniq -d)" ] || fail "--trials: two lists have one name"
"$python" -c '' 2>/dev/null || fail "--python $python does not run; 'make test' installs all into .venv"
[ -n "$systems" ] || systems=$(cd "$conf_dir" && printf '%s\n' lm_*.yaml | sed 's/^lm_//; s/\.yaml$//')
for name in $systems; do
  [ -f "$conf_dir/lm_$name.yaml" ] || fail "--systems: no $conf_dir/lm_$name.yaml"
done
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
sources=()
[ -z "$frames" ] || sources+=(--source "$codec" "$frames")
[ -z "$codes" ] || sources+=(--source "$rvq_codec" "$codes")

# learn CONFIG PACK CODEC SEED EXP: train a language model and make a model directory of it.
learn() {
  # shellcheck disable=SC2086
  [ -e "$5/train.done" ] || "$python" "$recipes/train.py" lm --config "$1" --data "$2" --exp "$5" \
    --task.training.seed "$4" --fit.progress false $fit
  [ -e "$5/train.done" ] || { echo "compare.sh: $5 stopped before its end; run again to go on" >&2; exit 3; }
  [ -e "$5/model/phones.txt" ] || "$python" "$recipes/pack_model.py" lm --exp "$5" --out "$5/model"
  [ -e "$5/model/aligner.safetensors" ] || "$python" "$recipes/adopt_parts.py" --into "$5/model" "$3" "$aligner"
}

# score LIST WAVS OUT NAME
score() {
  [ -e "$3/score.json" ] || "$python" "$recipes/score.py" --trials "$1" --wavs "$2" --out "$3" --name "$4" \
    --pictures 0 ${whisper:+--whisper "$whisper"}
}

# speak MODEL LIST STEPS SEED OUT NAME: speak a list and score it.
speak() {
  # shellcheck disable=SC2086
  [ -e "$5/wav.scp" ] || "$python" "$recipes/synthesize.py" --model "$1" --trials "$2" --out "$5/wav" \
    --scp "$5/wav.scp" --steps "$3" --seed "$4" --reference_text --engine torch $synthesis
  score "$2" "$5/wav" "$5" "$6"
}

first_list=${trials%% *} first_seed=${seeds%% *} timed=()
for name in $systems; do
  its_own=()
  if [ -n "$codecs" ] && [ -d "$codecs/$name" ]; then its_own=(--source "$codecs/$name/model" "$codecs/$name/frames"); fi
  plan=$("$python" "$recipes/plan_system.py" --config "$conf_dir/lm_$name.yaml" "${its_own[@]}" "${sources[@]}" --steps $steps)
  IFS=$'\t' read -r its_codec its_pack its_steps <<<"$plan"
  for seed in $seeds; do
    exp=$work_dir/$name/seed_$seed
    learn "$conf_dir/lm_$name.yaml" "$its_pack" "$its_codec" "$seed" "$exp"
    for list in $trials; do
      [ "$list" = "$first_list" ] && counts=$its_steps || counts=${its_steps%% *}
      for count in $counts; do
        speak "$exp/model" "$list" "$count" "$seed" "$exp/$(listed "$list")/steps_$count" "$name, seed $seed"
      done
    done
  done
  for count in $its_steps; do timed+=(--system "$name" "$count" "$work_dir/$name/seed_$first_seed/model"); done
done
for list in $trials; do
  if [ -d "${list%.tsv}/recordings" ]; then
    score "$list" "${list%.tsv}/recordings" "$work_dir/recordings/$(listed "$list")" recordings
  fi
done
# Times are measured side by side, so another system has all of them measured again.
printf '%s\n' "${timed[@]}" >"$work_dir/timed.part"
if ! cmp -s "$work_dir/timed.part" "$work_dir/timed"; then
  # shellcheck disable=SC2086
  "$python" "$root/benchmarks/real_time.py" --trials "$first_list" "${timed[@]}" --out "$work_dir/times.json" $timing
  mv "$work_dir/timed.part" "$work_dir/timed"
fi
rm -f "$work_dir/timed.part"
# shellcheck disable=SC2046,SC2086
"$python" "$recipes/compare_table.py" --work_dir "$work_dir" --systems $systems --seeds $seeds \
  --lists $(for list in $trials; do listed "$list"; done) --steps "${steps%% *}"
