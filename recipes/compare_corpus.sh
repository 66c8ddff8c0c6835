#!/usr/bin/env bash
# recipes/compare.sh on a corpus that recipes/tts.sh has brought to the end of its stage 2 (--work_dir is the same): what
# is lacking of alignments, frames, codes and lists of trials is made first. What is there is kept, wherever it comes from.
#
#   --work_dir DIR      has data/{train,valid,test} and dump/audio; gets data/{cross,prefix}.tsv
#   --out DIR           where runs and tables go; default: exp/compare in --work_dir
#   --codec DIR         model directory of the sigma-VAE codec, --frames DIR where its frames train/ and valid/ are or go; made
#                       where a system has no codec of its own
#   --rvq_codec DIR     model directory of a codec of codes, --codes DIR where its packs are or go; none: no system of codes
#   --aligner DIR       model directory of the aligner, --alignment "..." more options for recipes/align.py
#   --encoding --voices as of recipes/tts.sh, where frames are made
#   --lengths "A B"     seconds of the recordings that trials are made of, --count N of them for each protocol, at most
#   --untold            models are not told what the references say
#   --trials "..."      lists to speak in place of data/cross.tsv and data/prefix.tsv
#   --systems "..."     default: aligned prefix transfusion dit and, with --rvq_codec, valle
#   --codecs DIR        where systems with a codec of their own have it: NAME/model, and NAME/frames are or go
#   --conf_dir --seeds --steps --fit --synthesis --timing --whisper --python     as of recipes/compare.sh
set -euo pipefail
export LC_ALL=C.UTF-8
root=$(CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work_dir='' out='' codec=$root/latent_tts/models/nano frames='' rvq_codec='' codes='' aligner=$root/latent_tts/models/nano
alignment='' lengths='4 20' count=40 untold=false trials='' conf_dir='' systems='' codecs='' seeds='0 1 2' steps='5' fit=''
encoding='' voices=1.0 synthesis='' timing='' whisper=''
python=${PYTHON:-$root/.venv/bin/python}
readonly root recipes=$root/recipes
. "$recipes/parse_options.sh"

fail() { echo "compare_corpus.sh: error: $*" >&2; exit 2; }
data=$work_dir/data audio=$work_dir/dump/audio
[ -n "$work_dir" ] || fail "--work_dir is wanted: where recipes/tts.sh has put data/ and dump/"
[ -f "$codec/config.yaml" ] || fail "--codec: no model directory '$codec'"
[ -f "$aligner/config.yaml" ] || fail "--aligner: no model directory '$aligner'"
[ -z "$rvq_codec" ] || [ -f "$rvq_codec/config.yaml" ] || fail "--rvq_codec: no model directory '$rvq_codec'"
"$python" -c '' 2>/dev/null || fail "--python $python does not run; 'make test' installs all into .venv"
frames=${frames:-$work_dir/dump/frames} codes=${codes:-$work_dir/dump/codes}
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}

# aligned SPLIT: alignments of a split's recordings.
aligned() {
  [ -f "$audio/$1/phones.json" ] || fail "no $audio/$1/phones.json; stage 2 of the recipe leaves it, --work_dir says where"
  # shellcheck disable=SC2086
  [ -e "$audio/$1/alignments.json" ] || "$python" "$recipes/align.py" --pack "$audio/$1" --aligner "$aligner" $alignment
}

# encoded CODEC FOLDER: packs of the training and validation recordings.
encoded() {
  local split copies=$voices
  for split in train valid; do
    if [ ! -e "$2/$split/clips.json" ]; then
      aligned "$split"
      # shellcheck disable=SC2086
      "$python" "$recipes/encode.py" --data_dir "$data/$split" --pack "$audio/$split" --codec "$1" --out "$2/$split" \
        --voices $copies $encoding
    fi
    copies=1.0
  done
}

sources=() known='aligned prefix transfusion dit'
if [ -n "$rvq_codec" ]; then
  encoded "$rvq_codec" "$codes"
  sources+=(--rvq_codec "$rvq_codec" --codes "$codes") known+=' valle'
fi
shared=false
for name in ${systems:-$known}; do
  if [ -n "$codecs" ] && [ -f "$codecs/$name/model/config.yaml" ]; then
    encoded "$codecs/$name/model" "$codecs/$name/frames"
  else
    shared=true
  fi
done
if [ "$shared" = true ]; then
  encoded "$codec" "$frames"
  sources+=(--frames "$frames")
fi
if [ -z "$trials" ]; then
  quiet=()
  [ "$untold" = false ] || quiet=(--untold)
  for protocol in cross prefix; do
    if [ ! -e "$data/$protocol.tsv" ]; then
      aligned test
      # shellcheck disable=SC2086
      "$python" "$recipes/make_trials.py" --protocol "$protocol" --references "$data/test" --pack "$audio/test" \
        --lengths $lengths --count "$count" --out "$data/$protocol.tsv" "${quiet[@]}"
    fi
  done
  trials="$data/cross.tsv $data/prefix.tsv"
fi
exec "$recipes/compare.sh" --conf_dir "$conf_dir" --codec "$codec" --aligner "$aligner" "${sources[@]}" --codecs "$codecs" \
  --trials "$trials" --systems "${systems:-$known}" --seeds "$seeds" --steps "$steps" --fit "$fit" --synthesis "$synthesis" \
  --timing "$timing" --whisper "$whisper" --python "$python" --work_dir "${out:-$work_dir/exp/compare}"
