#!/usr/bin/env bash
# The shipped model learns one voice from some ten minutes of it, and is kept where held-out sentences say it got better.
#
#   --recordings DIR    sound files of one voice, of any length, in any folders below
#   --transcripts FILE  what is said in them, lines of name|text; what has none is read by the recogniser
#   --whisper DIR       the recogniser, a CTranslate2 Whisper folder (tools/get_whisper.sh)
#   --work_dir DIR      where data/ dump/ exp/ go, and at the end model/, to speak with: tts --model DIR/model
#   --model DIR         the model that learns; default: the shipped one
#   --minutes N         how much of the recordings is taken, held-out parts included
#   --lm_config FILE    how it learns
#   --data_prep_options "..."  more options for local/data_prep.py
#   --fit "..."         more options for recipes/train.py
#   --synthesis "..."   more options for recipes/synthesize.py, in the check
#   --python PROGRAM    as of recipes/tts.sh
#
# The same command goes on where it was broken off. Exit status: 2 for something to put right, 4 where the voice did not
# get better: then there is no model/, and what was trained stays in exp/finetune/model.
set -euo pipefail
here=$(dirname "$0")
recipes=$here/../../recipes
recordings='' transcripts='' whisper='' work_dir='' model=$here/../../latent_tts/models/nano minutes=10
lm_config=$here/conf/finetune.yaml data_prep_options='' fit='' synthesis='' python=${PYTHON:-}
. "$recipes/parse_options.sh"
for option in recordings whisper work_dir; do
  [ -n "${!option}" ] || { echo "run.sh: error: give --$option; --help says what it is" >&2; exit 2; }
done
[ -n "$python" ] || python=$(if [ -x "$here/../../.venv/bin/python" ]; then echo "$here/../../.venv/bin/python"; else echo python3; fi)
export PYTHONPATH=$here/../..${PYTHONPATH:+:$PYTHONPATH}

# shellcheck disable=SC2086
"$python" "$here/local/data_prep.py" --recordings "$recordings" ${transcripts:+--transcripts "$transcripts"} \
  --whisper "$whisper" --model "$model" --data_dir "$work_dir/data" --minutes "$minutes" $data_prep_options
"$recipes/tts.sh" --stage 2 --init "$model" --work_dir "$work_dir" --whisper "$whisper" --lm_config "$lm_config" \
  --voices "1.0 1.0" --fit "$fit" --synthesis "$synthesis" --python "$python"
"$python" "$here/local/keep_if_better.py" --work_dir "$work_dir" --exp "$work_dir/exp/$(basename "$lm_config" .yaml)" \
  --base "$model" --out "$work_dir/model"
