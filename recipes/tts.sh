#!/usr/bin/env bash
# From a corpus to a scored model, in stages 0 to 8. What is done is skipped, a training that was broken off is resumed:
# after any end, the same command goes on. To do something again, remove what it left (the stages name it).
#
#   --stage N --stop_stage N     run stages N to N (hyphens do as well: --stop-stage)
#   --corpus YAML                what the corpus is: its layout, its splits, where it can be had (local/corpus.yaml)
#   --corpus_dir DIR             where the recordings are
#   --download "PART ..."        fetch these parts of the corpus into --corpus_dir first; nothing is fetched unasked
#   --work_dir DIR               where data/ dump/ exp/ go, with the logs in exp/log/
#   --data_prep FILE             what prepares the corpus, in parts as --nj and --cluster say; default: recipes/prepare.py
#   --data_prep_options "..."    more options for it, for instance "--train train-clean-360"
#   --sample_rate N              Hz, of the codec and the aligner
#   --codec_config --aligner_config --lm_config FILE
#                                what to train; the file's name is the experiment's: other settings want another name
#   --init DIR                   a model directory to go on from: its codec and aligner stay as they are, its language model
#                                is trained further, and stages 7 and 8 speak and score the trials by it, too
#   --fit "..."                  more options for recipes/train.py, for instance "--fit.max_time 00:01:00:00"
#   --alignment "..."            more options for recipes/align.py
#   --encoding "..."             more options for recipes/encode.py: recordings to leave out
#   --voices "1.0 0.9 1.1:1.1:0.9" copies of the training data as pseudo-speakers, see recipes/encode.py
#   --trials N                   sentences spoken in stage 7; as many test recordings score the codec in stage 3
#   --synthesis "..."            more options for recipes/synthesize.py
#   --whisper DIR                CTranslate2 Whisper folder for the error rate (tools/get_whisper.sh); none: no error rate
#   --nj N                       parts in which the stages that take each recording by itself are done, side by side
#   --cluster local|slurm        where these parts run, and trainings: as processes here, or as jobs of Slurm
#   --ngpu N --nodes N           GPUs that train on each machine, and how many machines; 0 GPUs: Lightning decides
#   --slurm "partition=all ..."  more settings for Slurm's jobs: what sbatch takes
#   --shar                       keep the training frames as shards of Lhotse, too, and train the language model from them
#   --dry_run                    print the commands that would be run, and run none
#   --python PROGRAM             the interpreter with the extras of setup.py; default: $PYTHON, the checkout's .venv, python3
#
#   0 corpus         1 data directories       2 sound and phones          3 codec and its score
#   4 aligner, alignments, frames
#   5 language model 6 model directory        7 speech of the trials      8 score.json, row.md, pictures
#
# Exit status: 2 for something to put right, 3 where a training ran out of --fit.max_time.
set -euo pipefail
export LC_ALL=C.UTF-8

stage=0 stop_stage=8 corpus='' corpus_dir='' download='' work_dir=. data_prep='' data_prep_options='' sample_rate=16000
codec_config='' aligner_config='' lm_config='' init='' fit='' alignment='' encoding='' voices=1.0 trials=50 synthesis='' whisper=''
nj=1 cluster=local ngpu=0 nodes=1 slurm='' shar=false dry_run=false
python=${PYTHON:-}
root=$(CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root recipes=$root/recipes
. "$recipes/parse_options.sh"

fail() { echo "tts.sh: error: $*" >&2; exit 2; }
named() { basename "$1" .yaml; }
wanted() { [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ] && echo "stage $1: $2" >&2; }

# once NAME FILE COMMAND...: run a command that leaves FILE last, unless it is there. What it says is logged, too.
once() {
  local name=$1 left=$2 log=$logs/$1.log status=0 begun=$SECONDS
  shift 2
  if [ -e "$left" ]; then echo "  $name: done, $left is there" >&2; return; fi
  if [ "$dry_run" = true ]; then printf '%q ' "$@"; echo; return; fi
  echo "  $name: its log is $log" >&2
  mkdir -p "$logs"
  printf '# %s\n' "$*" >>"$log"
  "$@" 2>&1 | tee -i -a "$log" >&2 || status=$?
  if [ "$status" -ne 0 ]; then echo "tts.sh: error: $name failed, see $log" >&2; exit "$status"; fi
  if [ ! -e "$left" ]; then echo "tts.sh: $name ended before it left $left, see $log; run again to go on" >&2; exit 3; fi
  echo "  $name: $((SECONDS - begun)) s, left $left" >&2
}

# spread NAME FILE COMMAND...: the same for a stage that can be done in parts; a log for each is NAME.I.log.
spread() {
  local array=()
  if [ "$nj" -gt 1 ] || [ "$cluster" != local ]; then
    # shellcheck disable=SC2206
    array=("$python" "$recipes/job_array.py" --nj "$nj" --cluster "$cluster" --name "$1" --logs "$logs" --slurm $slurm --)
  fi
  once "$1" "$2" "${array[@]}" "${@:3}"
}

# train PART CONFIG DATA EXP OPTIONS...: train a part to its last step.
train() {
  local name launch=() devices=()
  name=train_$(basename "$4")
  if [ "$ngpu" -gt 0 ]; then devices=(--fit.accelerator gpu --fit.devices "$ngpu"); fi
  if [ "$cluster" = slurm ]; then
    # shellcheck disable=SC2206
    launch=("$python" "$recipes/launch.py" --nodes "$nodes" --tasks "$((ngpu > 0 ? ngpu : 1))" --ngpu "$ngpu"
      --name "$name" --logs "$logs" --slurm $slurm --)
    devices+=(--fit.nodes "$nodes" --fit.progress false)
  fi
  # shellcheck disable=SC2086
  once "$name" "$4/train.done" "${launch[@]}" \
    "$python" "$recipes/train.py" "$1" --config "$2" --data "$3" --exp "$4" "${devices[@]}" "${@:5}" $fit
}

# pack PART EXP OPTIONS...: put the weights of a finished training into EXP/model.
pack() {
  once "pack_$(basename "$2")" "$2/model/phones.txt" \
    "$python" "$recipes/pack_model.py" "$1" --exp "$2" --out "$2/model" "${@:3}"
}

# speak MODEL FOLDER: the trials by a model, each engine's pace in the log.
speak() {
  # shellcheck disable=SC2086
  spread "$(basename "$2")" "$2/wav.scp" "$python" "$recipes/synthesize.py" --model "$1" --trials "$list" \
    --out "$2/wav" --scp "$2/wav.scp" $synthesis
}

# score FOLDER NAME: what was spoken there, its row called NAME.
score() {
  spread "score_$(basename "$1")" "$1/score.json" "$python" "$recipes/score.py" --trials "$list" --wavs "$1/wav" \
    --out "$1" --name "$2" ${whisper:+--whisper "$whisper"}
}

[[ $stage =~ ^[0-9]$ && $stop_stage =~ ^[0-9]$ ]] || fail "--stage $stage --stop_stage $stop_stage: want numbers, 0 to 8"
[[ $nj =~ ^[1-9][0-9]*$ && $nodes =~ ^[1-9][0-9]*$ && $ngpu =~ ^[0-9]+$ ]] ||
  fail "--nj $nj --nodes $nodes --ngpu $ngpu: want numbers, the first two from 1 on"
[[ $cluster =~ ^(local|slurm)$ ]] || fail "--cluster $cluster: want local or slurm"
[ "$nodes" = 1 ] || [ "$cluster" = slurm ] || fail "--nodes $nodes needs --cluster slurm"
configs=(lm_config)
[ -n "$init" ] || configs+=(codec_config aligner_config)
for option in "${configs[@]}"; do
  [ -f "${!option}" ] || fail "--$option: no file '${!option}'"
done
[ -z "$init" ] || [ -f "$init/config.yaml" ] || fail "--init: no model directory '$init'"
if [ -n "$corpus" ] || { [ "$stage" -le 1 ] && [ -z "$data_prep" ]; }; then
  [ -f "$corpus" ] || fail "--corpus: no file '$corpus'"
fi
if [ "$stage" -le 1 ] && [ ! -d "$corpus_dir" ] && [ -z "$download" ]; then
  had=$(grep -qs ^archives: "$corpus" && echo ", or fetch it there: --download \"PART ...\", see $corpus") || true
  fail "no corpus at '$corpus_dir'; give its folder: --corpus_dir DIR$had"
fi
[ -z "$download" ] || [ -n "$corpus_dir" ] || fail "--download wants --corpus_dir DIR, where the corpus goes"
if [ -z "$python" ]; then
  python=python3
  if [ -x "$root/.venv/bin/python" ]; then python=$root/.venv/bin/python; fi
fi
lacking=$("$python" -c 'from importlib.util import find_spec
print(*(name for name in ("torch", "lightning", "jsonargparse", "matplotlib", "resemblyzer") if find_spec(name) is None))' 2>/dev/null) ||
  fail "--python $python does not run"
[ -z "$lacking" ] || fail "$python lacks $lacking; 'make test' installs all into .venv, --python names another interpreter"
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
if [ -t 2 ]; then export SHOW_PROGRESS=1; fi

logs=$work_dir/exp/log data=$work_dir/data audio=$work_dir/dump/audio
frames=$work_dir/dump/$(named "${codec_config:-init}")
codec=$work_dir/exp/$(named "${codec_config:-init}") aligner=$work_dir/exp/$(named "${aligner_config:-init}")
codec_model=${init:-$codec/model} aligner_model=${init:-$aligner/model}
lm=$work_dir/exp/$(named "$lm_config") list=$work_dir/data/trials_test.tsv
spoken=$lm/speak_test before=$lm/speak_before

if wanted 0 "corpus"; then
  if [ -n "$download" ] && [ "$dry_run" = false ]; then
    # shellcheck disable=SC2086
    "$python" "$recipes/get_corpus.py" --corpus "$corpus" --corpus_dir "$corpus_dir" --parts $download
  fi
  echo "  corpus: $corpus_dir" >&2
fi
if wanted 1 "data directories"; then
  parts=()
  # shellcheck disable=SC2206
  [ -z "$data_prep" ] || parts=(--nj "$nj" --cluster "$cluster" --logs "$logs" --slurm $slurm)
  # shellcheck disable=SC2086
  once data_prep "$data/test/wav.scp" \
    "$python" "${data_prep:-$recipes/prepare.py}" ${corpus:+--corpus "$corpus"} \
    --corpus_dir "$corpus_dir" --data_dir "$data" "${parts[@]}" $data_prep_options
fi
if wanted 2 "sound and phones"; then
  for split in train valid test; do
    spread "pack_$split" "$audio/$split/index.json" \
      "$python" "$recipes/pack_audio.py" --data_dir "$data/$split" --pack "$audio/$split" --sample_rate "$sample_rate"
    spread "phones_$split" "$audio/$split/phones.json" \
      "$python" "$recipes/phones.py" --data_dir "$data/$split" --pack "$audio/$split" --table "$data/phones.txt"
  done
fi
if wanted 3 "codec" && [ -z "$init" ]; then
  train codec "$codec_config" "$audio" "$codec"
  pack codec "$codec" --measure "$audio/train"
  once "score_$(basename "$codec")" "$codec/eval/score.json" "$python" "$recipes/score_codec.py" \
    --model "$codec/model" --data "$data/test" --count "$trials" --out "$codec/eval" ${whisper:+--whisper "$whisper"}
fi
if wanted 4 "aligner, alignments, frames"; then
  if [ -z "$init" ]; then
    train aligner "$aligner_config" "$audio" "$aligner"
    pack aligner "$aligner"
  fi
  for split in train valid; do
    copies=1.0; [ $split = train ] && copies=$voices
    # shellcheck disable=SC2086
    spread "align_$split" "$audio/$split/alignments.json" \
      "$python" "$recipes/align.py" --pack "$audio/$split" --aligner "$aligner_model" $alignment
    once "show_$split" "$audio/$split/alignments.ctm" "$python" "$recipes/show_alignments.py" --pack "$audio/$split"
    # shellcheck disable=SC2086
    spread "encode_$split" "$frames/$split/clips.json" \
      "$python" "$recipes/encode.py" --data_dir "$data/$split" --pack "$audio/$split" \
      --codec "$codec_model" --out "$frames/$split" --voices $copies $encoding
  done
  if [ "$shar" = true ]; then
    spread export_shar "$frames/train/shards/shards.json" "$python" "$recipes/export_shar.py" \
      --data_dir "$data/train" --pack "$frames/train" --codec "$codec_model" --out "$frames/train/shards"
  fi
fi
if wanted 5 "language model"; then
  train lm "$lm_config" "$frames" "$lm" ${init:+--init "$init"}
fi
if wanted 6 "model directory"; then
  pack lm "$lm"
  once adopt "$lm/model/aligner.safetensors" \
    "$python" "$recipes/adopt_parts.py" --into "$lm/model" "$codec_model" "$aligner_model"
fi
if wanted 7 "speech"; then
  once trials "$list" "$python" "$recipes/make_trials.py" --references "$data/test" \
    --sentences "$data/valid" "$data/test" --seen "$data/train" --out "$list" --count "$trials"
  speak "$lm/model" "$spoken"
  [ -z "$init" ] || speak "$init" "$before"
fi
if wanted 8 "score"; then
  score "$spoken" "$(named "$lm_config")"
  [ -z "$init" ] || score "$before" "$(basename "$init")"
fi
if [ "$dry_run" = true ]; then echo "tts.sh: nothing was run" >&2; exit; fi
echo "tts.sh: done up to stage $stop_stage" >&2
