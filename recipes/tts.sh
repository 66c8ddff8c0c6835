#!/usr/bin/env bash
# From a corpus to a scored model. The folder it is called in holds the facts (run.sh, local/data_prep.py) and gets
# data/ dump/ exp/. A stage that is done is skipped; a training that was broken off is resumed.
#
#   --stage N --stop_stage N     run stages N to N (0 to 8)
#   --corpus_dir DIR             where the recordings are
#   --work_dir DIR               where data/ dump/ exp/ go (default: here)
#   --codec_config --aligner_config --lm_config FILE    what to train; the file's name names the experiment
#   --tempo "1.0 0.9 1.1"        copies of the training data as pseudo-speakers
#   --trials N                   sentences spoken in stage 7
#   --whisper DIR                CTranslate2 Whisper folder for the error rate (tools/get_whisper.sh); none: no error rate
#   --data_prep_options "..."    more options for local/data_prep.py
#   --fit "..."                  more options for recipes/train.py, for instance "--fit.max_time 00:01:00:00"
#   --synthesis "..."            more options for recipes/synthesize.py
#   --python PROGRAM             the interpreter that has latent_tts and its extras
set -euo pipefail
export LC_ALL=C.UTF-8

stage=0 stop_stage=8 corpus_dir= work_dir=. codec_config= aligner_config= lm_config= sample_rate=16000 tempo=1.0
trials=50 whisper= data_prep_options= fit= synthesis= python=${PYTHON:-python3}
recipes=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$recipes/parse_options.sh"

named() { basename "$1" .yaml; }
data=$work_dir/data
codec=$work_dir/exp/$(named "$codec_config") aligner=$work_dir/exp/$(named "$aligner_config") lm=$work_dir/exp/$(named "$lm_config")
audio=$work_dir/dump/audio frames=$work_dir/dump/$(named "$codec_config")
spoken=$lm/speak_test

wanted() { [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ] && echo "stage $1: $2" >&2; }

# logged NAME COMMAND...: run a command, its messages on the screen and in a log.
logged() {
  local log=$work_dir/exp/log/$1.log; shift
  mkdir -p "$(dirname "$log")"
  "$@" 2> >(tee -a "$log" >&2) || { local status=$?; echo "tts.sh: error: it failed, see $log" >&2; exit $status; }
}

# train PART CONFIG DATA EXP: train until its last step, unless that was reached before.
train() {
  [ -f "$4/train.done" ] && return
  # shellcheck disable=SC2086
  logged "train_$1" "$python" "$recipes/train.py" "$1" --config "$2" --data "$3" --exp "$4" $fit
  [ -f "$4/train.done" ] || { echo "tts.sh: the training of the $1 ran out of time; run again to resume" >&2; exit 3; }
}

# pack PART EXP OUT OPTIONS...: put trained weights into a model directory.
pack() {
  [ -f "$3/$1.safetensors" ] && return
  logged "pack_$1" "$python" "$recipes/pack_model.py" "$1" --exp "$2" --out "$3" "${@:4}"
}

if wanted 0 "corpus"; then
  [ -d "$corpus_dir" ] || { echo "tts.sh: error: no corpus at '$corpus_dir'; give its folder: --corpus_dir DIR" >&2; exit 2; }
fi
if wanted 1 "data directories" && [ ! -f "$data/train/wav.scp" ]; then
  # shellcheck disable=SC2086
  logged data_prep "$python" local/data_prep.py --corpus_dir "$corpus_dir" --data_dir "$data" $data_prep_options
fi
if wanted 2 "sound and phones"; then
  for split in train valid test; do
    [ -f "$audio/$split/phones.json" ] && continue
    logged "pack_$split" "$python" "$recipes/pack_audio.py" --data_dir "$data/$split" --pack "$audio/$split" --sample_rate "$sample_rate"
    logged "phones_$split" "$python" "$recipes/phones.py" --data_dir "$data/$split" --pack "$audio/$split" --table "$data/phones.txt"
  done
fi
if wanted 3 "codec"; then
  train codec "$codec_config" "$audio" "$codec"
  pack codec "$codec" "$codec/model" --measure "$audio/train"
fi
if wanted 4 "alignments and frames"; then
  train aligner "$aligner_config" "$audio" "$aligner"
  pack aligner "$aligner" "$aligner/model"
  for split in train valid; do
    copies=1.0; [ $split = train ] && copies=$tempo
    logged "align_$split" "$python" "$recipes/align.py" --pack "$audio/$split" --aligner "$aligner/model"
    # shellcheck disable=SC2086
    logged "encode_$split" "$python" "$recipes/encode.py" --data_dir "$data/$split" --pack "$audio/$split" \
      --codec "$codec/model" --out "$frames/$split" --tempo $copies
  done
fi
if wanted 5 "language model"; then
  train lm "$lm_config" "$frames" "$lm"
fi
if wanted 6 "model directory"; then
  pack lm "$lm" "$lm/model"
  logged adopt "$python" "$recipes/adopt_parts.py" --into "$lm/model" "$codec/model" "$aligner/model"
fi
if wanted 7 "speech"; then
  logged trials "$python" "$recipes/make_trials.py" --references "$data/test" --sentences "$data/valid" "$data/test" \
    --seen "$data/train" --out "$data/trials_test.tsv" --count "$trials"
  # shellcheck disable=SC2086
  logged synthesize "$python" "$recipes/synthesize.py" --model "$lm/model" --trials "$data/trials_test.tsv" --out "$spoken/wav" $synthesis
fi
if wanted 8 "score" && [ ! -f "$spoken/score.json" ]; then
  logged score "$python" "$recipes/score.py" --trials "$data/trials_test.tsv" --wavs "$spoken/wav" --out "$spoken/score.json" \
    --name "$(named "$lm_config")" ${whisper:+--whisper "$whisper"}
fi
echo "tts.sh: done up to stage $stop_stage" >&2
