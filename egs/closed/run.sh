#!/usr/bin/env bash
# LatentLM, VALL-E and the others on equal terms where reading is as easy as it can be: sentences of one form and 28 words
# by forty synthetic speakers. Makes the corpus, then calls recipes/compare_corpus.sh.
#
#   --rvq_codec DIR     model directory of the RVQ twin (README.md says how it is trained); none: no system of codes
#   --codecs DIR        as of recipes/compare_corpus.sh, for NAME/model of a system in place of nano's codec
#   --work_dir DIR      where all goes; default: beside this file
#   --sentences N       of the corpus, twelve from each speaker; default: 480
#   --threads N         that synthesise the corpus; default: 2
#   --recombined N      train on N lines more, put together from words of the recorded ones (local/recombine.py), and work
#                       in recombined/ of --work_dir; default: 0, the recorded ones alone
#   --count N           trials of each protocol, as many as there are; default: 40
#   --systems --seeds --steps --fit --synthesis --timing --whisper --python     as of recipes/compare_corpus.sh
#
# What is done is skipped: after any end, the same command goes on.
set -euo pipefail
here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
recipes=$here/../../recipes nano=$here/../../latent_tts/models/nano
rvq_codec='' codecs='' work_dir=$here sentences=480 threads=2 recombined=0 count=40
systems='' seeds='0 1 2' steps=5 fit='' synthesis='' timing='' whisper='' python=$here/../../.venv/bin/python
readonly here recipes nano
. "$recipes/parse_options.sh"
export PYTHONPATH=$here/../..${PYTHONPATH:+:$PYTHONPATH}
corpus=$work_dir/corpus

if [ ! -e "$corpus/utt2spk" ]; then
  mkdir -p "$work_dir"
  "$python" "$here/local/sentences.py" --out "$work_dir/sentences.txt" --count "$sentences"
  "$python" "$recipes/synthetic_speech.py" --sentences "$work_dir/sentences.txt" --out "$corpus" --count "$sentences" \
    --prefix '' --threads "$threads"
fi
# prepared DIR STAGE: from data directories, or the corpus at stage 1, to frames.
prepared() {
  "$recipes/tts.sh" --corpus "$here/local/corpus.yaml" --corpus_dir "$corpus" --work_dir "$1" --init "$nano" \
    --lm_config "$here/conf/lm_aligned.yaml" --stage "$2" --stop_stage 4 --python "$python"
}
prepared "$work_dir" 0
if [ "$recombined" != 0 ]; then
  data=$work_dir/data audio=$work_dir/dump/audio work_dir=$work_dir/recombined
  mkdir -p "$work_dir/data" "$work_dir/dump/audio"
  [ -e "$work_dir/data/train/wav.scp" ] || "$python" "$here/local/recombine.py" --data_dir "$data/train" \
    --pack "$audio/train" --out "$work_dir/data/train" --count "$recombined" --exclude "$data/valid/text" "$data/test/text"
  for split in valid test; do
    ln -sfn "../../data/$split" "$work_dir/data/$split"
    ln -sfn "../../../dump/audio/$split" "$work_dir/dump/audio/$split"
  done
  prepared "$work_dir" 2
fi
exec "$recipes/compare_corpus.sh" --work_dir "$work_dir" --conf_dir "$here/conf" --frames "$work_dir/dump/init" \
  --rvq_codec "$rvq_codec" --codecs "$codecs" --untold --lengths "2 10" --count "$count" --systems "$systems" \
  --seeds "$seeds" --steps "$steps" --fit "$fit" --synthesis "$synthesis" --timing "$timing" --whisper "$whisper" \
  --python "$python"
