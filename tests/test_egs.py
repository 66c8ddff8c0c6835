"""The recipes of real corpora, all stages, with the networks of tests/conf: they end in a table."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import libri_light
import pytest

from latent_tts.data.kaldi import read_data_dir, validate_data_dir

pytest.importorskip("lightning")
ROOT = Path(__file__).parent.parent
CONF = Path(__file__).parent / "conf"
LIBRISPEECH = Path(os.environ.get("LATENT_TTS_LIBRISPEECH", libri_light.CORPUS / "LibriSpeech"))
WHISPER = os.environ.get("LATENT_TTS_WHISPER", "")
TINY = (
    *(word for part in ("codec", "aligner", "lm") for word in (f"--{part}_config", CONF / f"{part}.yaml")),
    *("--sample_rate", "16000", "--fit", "--fit.log_every 1 --fit.progress false"),
    *("--alignment", "--min_score -99", "--trials", "2", "--synthesis", "--steps 2"),
)


def run(recipe: str, *options: object, status: int = 0) -> str:
    """A recipe with tiny networks -> all that it said."""
    command = [ROOT / f"egs/{recipe}/run.sh", "--python", sys.executable, *TINY, *options]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    said = subprocess.run(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    assert said.returncode == status, said.stdout
    return said.stdout


def splits(work: Path) -> dict[str, list]:
    """The entries of each split; every directory is sound."""
    folders = {split: work / "data" / split for split in ("train", "valid", "test")}
    assert not [problem for folder in folders.values() for problem in validate_data_dir(folder)]
    return {split: read_data_dir(folder) for split, folder in folders.items()}


def ends_in_a_table(work: Path, said: str) -> None:
    assert re.findall(r"^stage (\d)", said, re.MULTILINE) == list("012345678") and "Traceback" not in said
    row = (work / "exp/lm/speak_test/row.md").read_text()
    assert row in said and len(row.splitlines()) == 3
    assert json.loads((work / "exp/lm/speak_test/score.json").read_text())["utterances"] == 2


@pytest.mark.slow
def test_librispeech(tmp_path):
    """The layout as it is; what has no transcript gets one from a table."""
    table = f"--transcripts {LIBRISPEECH}/machine_transcripts.tsv"
    said = run("librispeech", "--corpus_dir", LIBRISPEECH, "--work_dir", tmp_path, "--data_prep_options", table)
    ends_in_a_table(tmp_path, said)
    speakers = {split: {int(entry.spk) for entry in entries} for split, entries in splits(tmp_path).items()}
    assert {spk % 9 for spk in speakers["test"]} == {0} and {spk % 9 for spk in speakers["valid"]} == {1}
    assert not {spk % 9 for spk in speakers["train"]} & {0, 1} and 3699 in speakers["test"]


def test_librispeech_leaves_out_what_has_no_transcript(tmp_path):
    said = run("librispeech", "--corpus_dir", LIBRISPEECH, "--work_dir", tmp_path, "--stop_stage", 1)
    assert {entry.spk for entries in splits(tmp_path).values() for entry in entries} == {"19", "26", "27"}
    lacking = re.findall(r"^untranscribed (\S+) \(train-clean-100\): ", said, re.MULTILINE)
    assert f"0 bad, {len(lacking)} without a transcript" in said and "3699-175950-0000" in lacking


@pytest.mark.slow
def test_librilight_with_libriheavy(tmp_path):
    """Long files are never cut up on disk: utterances are stretches of them."""
    manifest = libri_light.make(tmp_path / "light")
    options = f"--manifests {manifest} --every 9 --min_seconds 3"
    work = tmp_path / "work"
    said = run("librilight", "--corpus_dir", tmp_path / "light", "--work_dir", work, "--data_prep_options", options)
    ends_in_a_table(work, said)
    found = splits(work)
    assert {entry.spk for entry in found["test"]} == {"27", "3168", "3699", "5049"}
    assert all(3 <= entry.seconds <= 20 and entry.span for entries in found.values() for entry in entries)
    texts = {entry.utt: entry.text for entry in found["train"]}
    assert texts[min(utt for utt in texts if utt.startswith("26-"))].startswith("In sixteen sixty five")
    assert len(list((tmp_path / "light").rglob("*.flac"))) == 18


@pytest.mark.slow
@pytest.mark.skipif(not WHISPER, reason="LATENT_TTS_WHISPER names no folder of a recogniser (tools/get_whisper.sh)")
def test_librilight_with_a_recogniser(tmp_path):
    """Cut by a voice activity detector and read by Whisper, in two parts; run again, nothing is done twice."""
    libri_light.make(tmp_path / "light")
    options = f"--whisper {WHISPER} --every 9 --min_logprob -2"
    where = ("--corpus_dir", tmp_path / "light", "--work_dir", tmp_path, "--stop_stage", 2, "--nj", 2)
    run("librilight", *where, "--data_prep_options", options)
    assert all((tmp_path / f"exp/log/{name}.2.log").exists() for name in ("segment", "transcribe", "phones_train"))
    found = splits(tmp_path)
    assert all(3 <= entry.seconds <= 20.1 for entries in found.values() for entry in entries)
    assert sum(len(entries) for entries in found.values()) > 18
    before = (tmp_path / "data/long/transcripts.tsv").stat().st_mtime_ns
    (tmp_path / "data/test/wav.scp").unlink()
    said = run("librilight", *where, "--data_prep_options", options)
    assert (tmp_path / "data/long/transcripts.tsv").stat().st_mtime_ns == before and "transcribe: " not in said


def test_librilight_is_cut_and_read_where_the_stages_run(tmp_path):
    cluster = ("--nj", 8, "--cluster", "slurm", "--slurm", "partition=a time=60", "--data_prep_options", "--whisper w")
    where = ("--corpus_dir", tmp_path, "--work_dir", tmp_path, "--stop_stage", 1)
    said = run("librilight", *where, *cluster, "--dry_run")
    array = f"--nj 8 --cluster slurm --logs {tmp_path}/exp/log --slurm partition=a time=60 --whisper w"
    assert "/data_prep.py " in said and array in said


def test_librilight_wants_texts_and_a_sound_corpus(tmp_path):
    (tmp_path / "light/small").mkdir(parents=True)
    where = ("--corpus_dir", tmp_path / "light", "--work_dir", tmp_path, "--stop_stage", 1)
    said = run("librilight", *where, status=2)
    assert "data_prep: error: Libri-Light has no texts; give --manifests (Libriheavy's) or --whisper DIR" in said
    said = run("librilight", *where, "--data_prep_options", "--manifests none.jsonl", status=2)
    assert "0 of 0 recordings are bad" in said
