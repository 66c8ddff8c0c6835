"""What arrives from people who mean no good, or from clients that are broken: a 4xx in one line, and nothing kept."""

from __future__ import annotations

import base64
import io
import json
import socket
import time
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from latent_tts.server import connections
from latent_tts.server.app import create_app
from latent_tts.server.connections import has_key

SPEECH = {"model": "tiny", "voice": "default", "input": "Hello."}
CONSENT = "I read this and agree that it is cloned."


@pytest.fixture
def client(scheduler, store, own):
    with TestClient(create_app(scheduler, store, own)) as client:
        yield client
    assert scheduler.speeches == 0


def assert_refused(reply: httpx.Response, status: int, word: str = "") -> None:
    assert reply.status_code == status, reply.text
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"} and word in error["message"]
    assert "\n" not in error["message"] and "Traceback" not in error["message"]


def upload(client: TestClient, recording: bytes, name: str = "anna", **fields: str) -> httpx.Response:
    fields = {"name": name, "consent": CONSENT} | fields
    return client.post("/v1/audio/voices", data=fields, files={"audio_sample": ("a.wav", recording)})


def sound(wav: np.ndarray, kind: str, rate: int = 16000, **options: str) -> bytes:
    memory = io.BytesIO()
    with soundfile.SoundFile(memory, "w", rate, 1, format=kind, **options) as file:
        for start in range(0, len(wav), 65536):
            file.write(wav[start : start + 65536])
    return memory.getvalue()


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"model": NaN}', b'{"input": "\\ud800"}', b"[" * 30000],
    ids=lambda body: repr(body[:12]),
)
def test_a_body_that_is_no_request(client, body):
    assert_refused(client.post("/v1/audio/speech", content=body, headers={"Content-Type": "application/json"}), 400)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ["model", "voice", "input", "speed", "response_format", "stream_format", "seed", "steps", "guidance", "x"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(change=st.dictionaries(st.sampled_from(FIELDS), json_values, min_size=1, max_size=4))
def test_any_request_is_answered(client, change):
    """Fuzzed fields: spoken, or refused in one line; never an error of the server."""
    body = json.dumps(SPEECH | {"input": "...", "response_format": "pcm"} | change)
    reply = client.post("/v1/audio/speech", content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code in (200, 400, 404), reply.text
    if reply.status_code != 200:
        assert_refused(reply, reply.status_code)


def test_a_body_that_is_too_large(client):
    assert_refused(client.post("/v1/audio/speech", json=SPEECH | {"input": "a" * 70000}), 413, "too large")
    pieces = (b"a" * 4096 for _ in range(100))  # no length is announced
    headers = {"Content-Type": "application/json"}
    assert_refused(client.post("/v1/audio/speech", content=pieces, headers=headers), 413, "too large")
    assert_refused(client.post("/v1/audio/speech", content=b"{}", headers={"Content-Length": "9" * 30}), 413)
    assert_refused(upload(client, b"\0" * (27 * 2**20)), 413)


def test_a_hundred_thousand_digits(client):
    assert_refused(client.post("/v1/audio/speech", json=SPEECH | {"input": "7" * 100_000}), 413)
    began = time.monotonic()
    assert_refused(client.post("/v1/audio/speech", json=SPEECH | {"input": "7" * 4096}), 400, "phones")
    assert time.monotonic() - began < 10


NO_NAMES = ["../evil", "..", "a/b", "/etc/passwd", "a\\b", ".hidden", "a b", "", "a" * 65, "a\0b", "ä", "a\n", "%2e%2e"]


@pytest.mark.parametrize("name", NO_NAMES)
def test_a_name_is_no_path(client, store, name, reference):
    assert_refused(upload(client, reference.read_bytes(), name), 400, "name")
    assert_refused(client.post("/v1/audio/speech", json=SPEECH | {"voice": name}), 400, "no voice")
    assert client.delete(f"/v1/audio/voices/{name.encode().hex()}").status_code == 404
    assert not store.folder.exists() or not list(store.folder.iterdir())


@pytest.mark.parametrize("path", ["..%2f..%2fsecret", "%2e%2e", "..%5csecret", "x.voice.safetensors"])
def test_nothing_outside_the_folder_is_deleted(client, store, path, tts):
    secret = store.folder.parent / "secret.voice.safetensors"
    secret.write_bytes(b"x")
    assert_refused(client.delete(f"/v1/audio/voices/{path}"), 404)
    assert secret.exists()


def test_consent_is_needed(client, store, reference):
    recording = reference.read_bytes()
    for consent in ("", "yes"):
        assert_refused(upload(client, recording, consent=consent), 400, "consent")
    files = {"audio_sample": ("a.flac", recording)}
    assert_refused(client.post("/v1/audio/voices", data={"name": "anna"}, files=files), 400, "consent")
    assert_refused(client.post("/v1/audio/voices", data={"name": "anna", "consent": CONSENT}), 400, "audio_sample")
    assert store.list() == []


def test_a_name_is_not_taken_twice(client, store, reference):
    assert upload(client, reference.read_bytes()).status_code == 200
    assert_refused(upload(client, reference.read_bytes()), 409, "here already")
    assert_refused(upload(client, reference.read_bytes(), "default"), 409)
    assert store.list() == ["anna"]


def test_recordings_that_hold_more_than_they_seem(client, store):
    """An hour of silence in a small file, minutes of opus, both within bounds of time and memory."""
    began = time.monotonic()
    hour = sound(np.zeros(3600 * 8000, np.int16), "FLAC", 8000)
    assert_refused(upload(client, hour), 400, "silent")
    assert_refused(upload(client, sound(np.zeros(300 * 8000, np.float32), "OGG", 8000, subtype="OPUS")), 400, "silent")
    assert time.monotonic() - began < 30 and store.list() == []


@pytest.mark.parametrize("recording", [b"", b"RIFF", b"\0" * 5000, b"OggS" * 500, b"ID3" + b"\xff" * 900, b"fLaC" * 99])
def test_what_is_no_recording(client, recording):
    assert_refused(upload(client, recording), 400)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1), noise=st.binary(min_size=1, max_size=64), kind=st.sampled_from(["WAV", "FLAC", "OGG"]))
def test_a_damaged_recording_is_used_or_refused(client, syllables, place, noise, kind):
    recording = bytearray(sound(syllables(1.5), kind))
    at = int(place * len(recording))
    recording[at : at + len(noise)] = noise
    reply = upload(client, bytes(recording))
    assert reply.status_code in (200, 400), reply.text
    client.delete("/v1/audio/voices/anna")


def test_other_sites_pages_may_not_ask(client):
    elsewhere = {"Origin": "https://evil.example"}
    assert_refused(client.post("/v1/audio/speech", json=SPEECH, headers=elsewhere), 403)
    assert_refused(client.delete("/v1/audio/voices/anna", headers=elsewhere), 403)
    assert client.post("/v1/audio/speech", json=SPEECH, headers={"Origin": "http://testserver"}).status_code == 200


RIGHT_KEYS = ["Bearer secret key", "Basic OnNlY3JldCBrZXk=", "basic eDpzZWNyZXQga2V5"]


@given(st.text(max_size=40) | st.sampled_from(RIGHT_KEYS))
def test_only_the_key_is_the_key(header):
    right = header.lower().startswith("bearer ") and header[7:].strip() == "secret key"
    right |= header.lower().startswith("basic ") and base64.b64decode(header[6:] + "==")[-11:] == b":secret key"
    assert has_key(header, "secret key") == right


def test_a_half_open_connection_is_closed(serve, monkeypatch):
    """Nothing said, half a head, half a body: the first two are closed, the third has its answer."""
    monkeypatch.setattr(connections, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(connections, "BODY_SECONDS", 1.0)
    begun = b"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\n"
    body = b"Content-Type: application/json\r\nContent-Length: 60\r\n\r\n{"
    with serve() as (address, _):
        peers = []
        for said in (b"", begun, begun + body):
            peers.append(socket.create_connection((urlsplit(address).hostname, urlsplit(address).port), timeout=15))
            peers[-1].sendall(said)
        answers = [peer.recv(4096) for peer in peers]
        assert answers[:2] == [b"", b""] and answers[2].startswith(b"HTTP/1.1 408 ")
        assert httpx.get(f"{address}/health").status_code == 200


def test_a_client_that_leaves_makes_room(serve):
    with serve(most=1) as (address, scheduler):
        long = SPEECH | {"input": "Hello there. " * 300, "response_format": "pcm"}
        with httpx.stream("POST", f"{address}/v1/audio/speech", json=long, timeout=60) as reply:
            chunks = reply.iter_raw()  # kept: dropping it would hang up at once
            next(chunks)
            assert scheduler.speeches == 1
        for _ in range(500):
            if scheduler.speeches == 0 and not scheduler.batches:
                break
            time.sleep(0.02)
        assert scheduler.speeches == 0 and not scheduler.batches and not scheduler.waiting


def test_a_client_that_takes_nothing_is_left(serve, monkeypatch):
    monkeypatch.setattr(connections, "PATIENCE_SECONDS", 1.0)
    body = json.dumps(SPEECH | {"input": "Hello there. " * 300, "response_format": "wav"}).encode()
    head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    with serve(most=1) as (address, scheduler):
        peer = socket.socket()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.connect((urlsplit(address).hostname, urlsplit(address).port))
        peer.sendall(head.encode() + b"\r\n\r\n" + body)
        seen = 0
        for _ in range(1500):
            seen = max(seen, scheduler.speeches)
            if seen and not scheduler.speeches:
                break
            time.sleep(0.02)
        assert seen == 1 and scheduler.speeches == 0
        peer.close()
