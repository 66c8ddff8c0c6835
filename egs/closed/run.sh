#!/usr/bin/env bash
# LatentLM, VALL-E and the others on equal terms where reading is as easy as it can be: sentences of one form and 28 words
# by forty synthetic speakers. Makes the corpus, frames and codes of it and the trials, then calls recipes/compare.sh.
#
#   --rvq_codec DIR     model directory of the RVQ twin (README.md says how it is trained); none: no system of codes
#   --work_dir DIR      where all goes; default: beside this file
#   --sentences N       of the corpus, twelve from each speaker; default: 480
#   --threads N         that synthesise the corpus; default: 2
#   --count N           trials of each protocol, as many as there are; default: 40
#   --systems --seeds --steps --fit --synthesis --timing --whisper --python     as of recipes/compare.sh
#
# What is done is skipped: after any end, the same command goes on.
set -euo pipefail
here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
recipes=$here/../../recipes nano=$here/../../latent_tts/models/nano
rvq_codec='' work_dir=$here sentences=480 threads=2 count=40
systems='' seeds='0 1 2' steps=5 fit='' synthesis='' timing='' whisper='' python=$here/../../.venv/bin/python
readonly here recipes nano
. "$recipes/parse_options.sh"
export PYTHONPATH=$here/../..${PYTHONPATH:+:$PYTHONPATH}
corpus=$work_dir/corpus data=$work_dir/data audio=$work_dir/dump/audio frames=$work_dir/dump/init codes=$work_dir/dump/codes

if [ ! -e "$corpus/utt2spk" ]; then
  mkdir -p "$work_dir"
  "$python" "$here/local/sentences.py" --out "$work_dir/sentences.txt" --count "$sentences"
  "$python" "$recipes/synthetic_speech.py" --sentences "$work_dir/sentences.txt" --out "$corpus" --count "$sentences" \
    --prefix '' --threads "$threads"
fi
"$recipes/tts.sh" --corpus "$here/local/corpus.yaml" --corpus_dir "$corpus" --work_dir "$work_dir" --init "$nano" \
  --lm_config "$here/conf/lm_aligned.yaml" --stop_stage 4 --python "$python"
[ -e "$audio/test/alignments.json" ] ||
  "$python" "$recipes/align.py" --pack "$audio/test" --aligner "$nano"
for protocol in cross prefix; do
  "$python" "$recipes/make_trials.py" --protocol "$protocol" --references "$data/test" --pack "$audio/test" \
    --lengths 2 10 --untold --count "$count" --out "$data/$protocol.tsv"
done
sources=(--frames "$frames")
if [ -n "$rvq_codec" ]; then
  sources+=(--rvq_codec "$rvq_codec" --codes "$codes")
  for split in train valid; do
    [ -e "$codes/$split/clips.json" ] || "$python" "$recipes/encode.py" --data_dir "$data/$split" \
      --pack "$audio/$split" --codec "$rvq_codec" --out "$codes/$split"
  done
elif [ -z "$systems" ]; then
  systems='aligned dit prefix transfusion'
fi
exec "$recipes/compare.sh" --conf_dir "$here/conf" --codec "$nano" --aligner "$nano" "${sources[@]}" \
  --trials "$data/cross.tsv $data/prefix.tsv" --systems "$systems" --seeds "$seeds" --steps "$steps" --fit "$fit" \
  --synthesis "$synthesis" --timing "$timing" --whisper "$whisper" --python "$python" --work_dir "$work_dir/exp/compare"
