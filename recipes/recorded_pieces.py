"""How far scores of spoken trials can come: for each, its speaker's own recording, cut to the length of what was said.

A stretch of the recording that the trial's reference was cut from, beside the reference. Leaves OUT/wav/<trial
id>.wav and, last, OUT/trials.tsv, the list of those that are long enough, for recipes/score.py without --whisper: they
say other words. With --codec the stretches have gone through that codec.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from stage import progress, stage

from latent_tts import audio
from latent_tts.data.kaldi import Entry, read_data_dir
from latent_tts.errors import UserError
from latent_tts.evaluate.reconstruction import round_trip
from latent_tts.evaluate.recorded import quiet_edged, rest_of
from latent_tts.evaluate.trials import Trial, read_trials, write_trials
from latent_tts.model_dir import load_codec


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=Path, required=True, help="the list, a TSV file")
    parser.add_argument("--data_dir", type=Path, required=True, help="data directory of the speakers' recordings")
    parser.add_argument("--wavs", type=Path, required=True, help="folder of <trial id>.wav, whose lengths are taken")
    parser.add_argument("--codec", type=Path, help="model directory of a codec to go through")
    parser.add_argument("--out", type=Path, required=True, help="folder for wav/ and trials.tsv")
    options = parser.parse_args(argv)
    listed = options.out / "trials.tsv"
    if listed.exists():
        return
    trials, recordings = read_trials(options.trials), defaultdict(list)
    for entry in read_data_dir(options.data_dir):
        recordings[entry.spk].append(entry)
    codec = load_codec(options.codec) if options.codec else None
    voices = {trial.reference: trial for trial in trials}
    rests = {reference: beside(trial, recordings[trial.speaker]) for reference, trial in voices.items()}
    kept = []
    for trial in progress(trials, desc="cut", unit="piece"):
        said, rate = audio.read(options.wavs / f"{trial.id}.wav")
        piece = quiet_edged(audio.resample(*rests[trial.reference], rate), rate, len(said))
        if piece is None:
            continue
        if codec is not None:
            _, piece = round_trip(codec, audio.resample(piece, rate, codec.sample_rate))
            piece = audio.resample(piece, codec.sample_rate, rate)
        kept.append(trial)
        path = options.out / "wav" / f"{trial.id}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        audio.write(path, piece, rate)
    if not kept:
        raise UserError(f"no recording in {options.data_dir} has as much beside its reference as was said")
    write_trials(listed, kept)
    print(f"recorded_pieces: {len(kept)} of {len(trials)} trials have as much beside their references", file=sys.stderr)


def beside(trial: Trial, entries: list[Entry]) -> tuple[np.ndarray, int]:
    """The sound (T,) beside the trial's reference in the recording it was cut from, and its rate."""
    reference, reference_rate = audio.read(trial.reference)
    for entry in entries:
        wav, rate = entry.read()
        rest = rest_of(wav, reference) if rate == reference_rate else None
        if rest is not None:
            return rest, rate
    raise UserError(
        f"{trial.reference} is of none of {trial.speaker}'s recordings; --data_dir wants those it was cut from"
    )


if __name__ == "__main__":
    sys.exit(main())
