"""`tts serve` as it is started: what it refuses before it listens, how it says where it is, how it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from latent_tts import cli
from latent_tts.server.command import listen, read_key

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parent.parent), "LATENT_TTS_API_KEY": ""}


def test_it_serves_until_it_is_interrupted(served_model, tmp_path):
    (tmp_path / "key").write_text("correct horse\n")
    options = ["--port", "0", "--model", served_model, "--voices", tmp_path, "--api-key-file", tmp_path / "key"]
    command = [sys.executable, "-m", "latent_tts", "serve", "--no-page", *map(str, options)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    try:
        said = process.stderr.readline()
        (address,) = re.findall(r"http://127\.0\.0\.1:\d+", said)
        with httpx.Client(base_url=address, timeout=60) as client:
            assert client.get("/ready").json() == {"status": "ready"}
            assert client.get("/v1/models").status_code == 401 == client.get("/metrics").status_code
            client.headers["Authorization"] = "Bearer correct horse"
            speech = {"model": "tts-1", "voice": "default", "input": "Hello."}
            assert client.post("/v1/audio/speech", json=speech).content
            page = client.get("/metrics").text
    finally:
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and rest == "tts: interrupted\n"
    samples = [line for line in page.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r'latent_tts_\w+(\{(\w+="[^"\\]*",?)+\})? [0-9.e+-]+', line) for line in samples)
    values = dict(line.rsplit(" ", 1) for line in samples)
    assert values['latent_tts_requests_total{path="/v1/audio/speech",status="200"}'] == "1"
    assert values['latent_tts_requests_total{path="/v1/models",status="401"}'] == "1"
    assert float(values["latent_tts_audio_seconds_total"]) > 0 and values["latent_tts_characters_total"] == "6"
    assert values['latent_tts_first_sound_seconds_bucket{le="+Inf"}'] == values["latent_tts_first_sound_seconds_count"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--port", "99999"], "--port"),
        (["--port", "x"], "--help"),
        (["--host", "no.such.host.invalid"], "cannot listen"),
        (["--model", "nowhere"], "no such model directory"),
        (["--queue", "0"], "--queue"),
        (["--api-key-file", "nowhere"], "no key can be read"),
        (["extra"], "--help"),
    ],
)
def test_what_is_refused_before_it_listens(capsys, monkeypatch, tmp_path, options, complaint):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["serve", "--port", "0", *options]) == 2
    said = capsys.readouterr().err
    assert said.startswith("tts: error: ") and complaint in said and said.count("\n") == 1


def test_a_port_that_is_taken(capsys):
    with listen("127.0.0.1", 0) as taken:
        assert cli.main(["serve", "--port", str(taken.getsockname()[1])]) == 2
    assert "cannot listen" in capsys.readouterr().err


def test_a_missing_extra_is_one_line(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    for name in [name for name in sys.modules if name.startswith("latent_tts.server")]:
        monkeypatch.delitem(sys.modules, name)
    assert cli.main(["serve"]) == 2
    assert "latent-tts[server]" in capsys.readouterr().err


def test_keys(monkeypatch, tmp_path):
    monkeypatch.delenv("LATENT_TTS_API_KEY", raising=False)
    assert read_key(None) is None
    monkeypatch.setenv("LATENT_TTS_API_KEY", "from outside")
    assert read_key(None) == "from outside"
    for content in (b"", b"short", b"\xff" * 20, "schlüssel".encode()):
        (tmp_path / "key").write_bytes(content)
        with pytest.raises(ValueError, match="key"):
            read_key(tmp_path / "key")
