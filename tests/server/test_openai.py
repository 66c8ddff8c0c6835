"""The server as OpenAI's own client meets it."""

from __future__ import annotations

import base64
import io
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import openai
import pytest
from openai import OpenAI

from latent_tts import audio
from latent_tts.encoders import PCM_RATE
from latent_tts.frames import Sampling

TEXT = "Hello there. How are you?"


@pytest.fixture
def client(serve):
    with serve() as (address, _):
        with OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
            yield client


def decoded(content: bytes, name: str) -> tuple[np.ndarray, int]:
    if name == "pcm":
        return np.frombuffer(content, "<i2") / np.float32(32768), PCM_RATE
    if name == "aac":
        import av

        with av.open(io.BytesIO(content)) as container:
            return np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)]), container.streams[0].rate
    return audio.read(io.BytesIO(content))


@pytest.mark.parametrize("name", ["mp3", "opus", "aac", "flac", "wav", "pcm"])
def test_every_format_is_the_sound(client, tts, own, name):
    reply = client.audio.speech.create(model="tts-1", voice="default", input="Hello there.", response_format=name)
    wav, rate = decoded(reply.content, name)
    wanted = tts.speak("Hello there.", own)
    padding = 0.2 if name in ("mp3", "aac") else 0.01
    assert 0 <= len(wav) / rate - len(wanted) / tts.sample_rate < padding
    levels = [audio.frame_levels(x, r) for x, r in ((wav, rate), (wanted, tts.sample_rate))]
    loudest = [10 ** (level.max() / 20) for level in levels]
    assert 0.5 < loudest[0] / loudest[1] < 2
    if name == "wav":
        assert np.abs(wav - np.clip(wanted, -1, 1)).max() <= 1 / 32767


def test_mp3_is_the_default_and_streams(client):
    with client.audio.speech.with_streaming_response.create(model="tiny", voice="default", input=TEXT) as reply:
        assert reply.headers["content-type"] == "audio/mpeg" and "content-length" not in reply.headers
        pieces = list(reply.iter_bytes())
    assert len(pieces) > 4 and audio.read(io.BytesIO(b"".join(pieces)))[0].size


def test_events(client):
    """Deltas that join into the sound, then one that says how much it was."""
    options = {"model": "tiny", "voice": "default", "input": TEXT, "response_format": "wav"}
    whole = client.audio.speech.create(**options).content
    with client.audio.speech.with_streaming_response.create(**options, stream_format="sse") as reply:
        lines = [line for line in reply.iter_lines() if line]
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert all(line.startswith("data: ") for line in lines)
    *deltas, done = (json.loads(line[6:]) for line in lines)
    assert {delta["type"] for delta in deltas} == {"speech.audio.delta"} and len(deltas) > 4
    assert b"".join(base64.b64decode(delta["audio"]) for delta in deltas) == whole
    assert done["type"] == "speech.audio.done"
    usage = done["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] and min(usage.values()) > 0


def test_speed_and_seed(client):
    def samples(**options: object) -> np.ndarray:
        request = {"model": "tiny", "voice": "default", "input": "Hello there.", "response_format": "pcm"}
        return np.frombuffer(client.audio.speech.create(**request, **options).content, "<i2")

    plain, fast, slow = samples(), samples(speed=2), samples(speed=0.5)
    assert len(fast) < len(plain) < len(slow)
    other = samples(extra_body={"seed": 5, "steps": 4})
    assert np.array_equal(plain, samples()) and not np.array_equal(plain[:2000], other[:2000])


def test_two_voices_at_once_are_each_alone(client, tts, store, syllables):
    """Sample for sample, whoever else speaks."""
    noise = np.random.default_rng(0).normal(size=48000).astype(np.float32)
    voices = {n: tts.clone(w, sample_rate=16000) for n, w in (("ann", syllables(2.0)), ("bob", syllables(3.0) * noise))}
    for name, voice in voices.items():
        store.save(name, voice)

    def ask(name: str) -> np.ndarray:
        reply = client.audio.speech.create(model="tiny", voice=name, input=TEXT, response_format="wav")
        return audio.read(io.BytesIO(reply.content))[0]

    names = ["ann", "bob"] * 2
    with ThreadPoolExecutor(len(names)) as pool:
        sounds = list(pool.map(ask, names))
    for name, sound in zip(names, sounds):
        alone = np.clip(tts.speak(TEXT, voices[name]), -1, 1)
        assert sound.shape == alone.shape and np.abs(sound - alone).max() <= 1 / 32767


def test_models(client):
    names = [model.id for model in client.models.list()]
    assert names[0] == "tiny" and "tts-1" in names and client.models.retrieve("tiny").owned_by == "latent_tts"
    for call in (client.models.retrieve, lambda name: client.audio.speech.create(model=name, voice="x", input="x")):
        with pytest.raises(openai.NotFoundError) as refused:
            call("gpt-9")
        assert refused.value.code == "model_not_found"


def test_a_voice_may_rehearse(client, reference, store, tts):
    said = {"consent": "I read this recording and agree that it is cloned."}
    for name, more in (("plain", {}), ("rehearsed", {"extra_body": {"rehearse": True}})):
        with open(reference, "rb") as recording:
            client.audio.voices.create(name=name, audio_sample=recording, **said, **more)
    wanted = tts.clone(str(reference), rehearse=True)
    assert store.load("plain").transport is None and wanted.transport is not None
    assert np.allclose(store.load("rehearsed").transport, wanted.transport, atol=1e-4)


def test_a_voice_from_its_recording_to_its_end(client, reference, store, tts):
    agreed = "I read this recording and agree that it is cloned."
    with open(reference, "rb") as recording:
        made = client.audio.voices.create(name="anna", consent=agreed, audio_sample=recording)
    assert made.id == made.name == "anna" and made.object == "audio.voice" and made.created_at > 1.7e9
    assert store.load("anna").consent == agreed
    listed = client.get("/audio/voices", cast_to=dict)
    assert [voice["id"] for voice in listed["data"]] == ["default", "anna"] == [v["id"] for v in listed["voices"]]
    sound = client.audio.speech.create(model="tiny", voice={"id": "anna"}, input="Hi.", response_format="wav").content
    wanted = tts.speak("Hi.", replace(store.load("anna"), name=""), Sampling())
    assert np.abs(audio.read(io.BytesIO(sound))[0] - np.clip(wanted, -1, 1)).max() <= 1 / 32767
    assert client.delete("/audio/voices/anna", cast_to=dict)["deleted"] and store.list() == []
    with pytest.raises(openai.BadRequestError, match="no voice 'anna'") as refused:
        client.audio.speech.create(model="tiny", voice="anna", input="Hi.")
    assert refused.value.param == "voice" and refused.value.code == "voice_not_found"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": "a" * 4097}, "input"),
        ({"input": "..."}, None),
        ({"input": "7" * 4096}, None),
        ({"speed": 4.5}, "speed"),
        ({"speed": 0.2}, "speed"),
        ({"response_format": "ogg"}, "response_format"),
        ({"stream_format": "both"}, "stream_format"),
        ({"instructions": "Whisper."}, "instructions"),
        ({"voice": "nobody"}, "voice"),
        ({"voice": "../../etc/passwd"}, "voice"),
        ({"extra_body": {"steps": 1000}}, "steps"),
        ({"extra_body": {"lexicon": "/etc/passwd"}}, "lexicon"),
    ],
    ids=str,
)
def test_what_is_refused(client, change, param):
    request = {"model": "tiny", "voice": "default", "input": "Hello."} | change
    with pytest.raises(openai.BadRequestError) as refused:
        client.audio.speech.create(**request)
    error = refused.value
    assert error.param == param and error.type == "invalid_request_error" and "\n" not in error.body["message"]


def test_no_room_says_when_to_ask_again(serve, tts):
    with serve(most=1) as (address, scheduler):
        client = OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
        request = {"model": "tiny", "voice": "default", "response_format": "pcm"}
        with client.audio.speech.with_streaming_response.create(**request, input=" ".join([TEXT] * 20)) as long:
            pieces = long.iter_bytes()
            next(pieces)
            with pytest.raises(openai.RateLimitError) as refused:
                client.audio.speech.create(**request, input="Hello.")
            assert int(refused.value.response.headers["retry-after"]) >= 1
        patient = client.with_options(max_retries=5)
        assert patient.audio.speech.create(**request, input="Hello.").content
        deadline = time.monotonic() + 20  # the server takes note of the end after the client has it
        while scheduler.speeches and time.monotonic() < deadline:
            time.sleep(0.01)
        assert scheduler.speeches == 0


def test_a_key(serve):
    with serve(key="correct horse") as (address, _):
        for key in ("wrong", "correct hors", "correct horse!"):
            with pytest.raises(openai.AuthenticationError) as refused:
                OpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0).models.list()
            assert refused.value.code == "invalid_api_key"
        assert OpenAI(base_url=f"{address}/v1", api_key="correct horse").models.list().data
