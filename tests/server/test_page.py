"""The page, by its handlers and in a real browser. The browser's screenshot is kept as build/page.png."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile

from latent_tts import audio, cli

gr = pytest.importorskip("gradio", reason="the page needs the extra demo")
webdriver = pytest.importorskip("selenium.webdriver", reason="a browser is driven by selenium, of the extra test")

from latent_tts import demo  # noqa: E402 (needs gradio)
from latent_tts.clinic import LIMITS  # noqa: E402
from latent_tts.encoders import adts_seconds  # noqa: E402

ROOT = Path(__file__).parent.parent.parent
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --autoplay-policy=no-user-gesture-required --window-size=1300,1500"
)


@pytest.fixture
def page(scheduler, store, own) -> demo.Page:
    return demo.Page(scheduler, store, own)


def spoken(page: demo.Page, text: str, choice: str = demo.OWN, seed: float | None = 3) -> list[tuple]:
    async def collect() -> list[tuple]:
        values = {"guidance": 1.5, "steps": 2, "temperature": 0.6, "speed": 1.0}
        return [shown async for shown in page.speak(text, choice, None, [], seed, *values.values())]

    return asyncio.run(collect())


class TestHandlers:
    def test_sound_comes_in_pieces_then_what_is_kept(self, page, tts, own):
        first, *pieces, last = spoken(page, "Hello there. How are you?")
        assert first[1] == "Speaking …" and len(pieces) > 1
        (about, path) = last[4][0]
        wav, rate = audio.read(path)
        assert rate == tts.sample_rate and "seed 3" in about and last[3]["value"] == path
        assert 0 <= sum(adts_seconds(piece[0]) for piece in pieces) - len(wav) / rate < 0.2
        wanted = tts.speak("Hello there. How are you?", own, demo.Sampling(seed=3, steps=2))
        assert np.abs(wav - np.clip(wanted, -1, 1)).max() <= 1 / 32767
        with soundfile.SoundFile(path) as file:
            assert "AI-generated" in file.comment
        assert Path(last[2]["value"]).read_bytes().startswith(b"\x89PNG")

    def test_without_a_seed_each_time_is_another(self, page):
        abouts = {spoken(page, "Hi.", seed=None)[-1][4][0][0] for _ in range(2)}
        assert len(abouts) == 2

    @pytest.mark.parametrize(
        ("text", "choice", "word"),
        [("...", demo.OWN, "speak"), ("Hi.", demo.RECORDING, "upload"), ("Hi.", "saved:nobody", "nobody")],
    )
    def test_what_is_wrong_is_a_sentence(self, page, scheduler, text, choice, word):
        with pytest.raises(gr.Error) as shown:
            spoken(page, text, choice)
        assert word in shown.value.message and shown.value.message.endswith(".") and scheduler.speeches == 0

    def test_a_recording_is_examined_and_kept(self, page, store, reference, sound_file, tmp_path):
        voice, findings, choice = asyncio.run(page.examine(str(reference), "", False))
        assert "dBFS" in findings and choice["value"] == demo.RECORDING and len(voice.frames)
        for name, consent in (("../x", "She agreed to it."), ("anna", "yes"), ("", "She agreed to it.")):
            with pytest.raises(gr.Error):
                asyncio.run(page.save(voice, name, consent))
        asyncio.run(page.save(voice, "anna", "She agreed to it."))
        assert store.load("anna").consent == "She agreed to it." and store.list() == ["anna"]
        with pytest.raises(gr.Error, match="already"):
            asyncio.run(page.save(voice, "anna", "She agreed to it."))
        with pytest.raises(gr.Error, match="silent"):
            asyncio.run(page.examine(str(sound_file("s.wav", np.zeros(32000))), "", False))

    def test_a_recording_may_rehearse(self, page, tts, reference):
        voice, _, _ = asyncio.run(page.examine(str(reference), "", True))
        wanted = tts.clone(str(reference), rehearse=True)
        assert wanted.transport is not None and np.allclose(voice.transport, wanted.transport, atol=1e-4)

    def test_a_report_is_the_clinics(self, syllables, reference):
        good = demo.report(*audio.read_reference(reference))
        assert "of 4.3 s used" in good and "the recording" not in good and good.endswith("Nothing speaks against it.")
        noise = np.random.default_rng(0).normal(size=64000).astype(np.float32)
        for wav, word in (
            (np.clip(9 * syllables(4.0), -1, 1), "clipped"),
            (syllables(4.0) + 0.03 * noise, LIMITS["snr"][1]),
            (syllables(2.0), "3 to 10"),
        ):
            assert "the recording" in demo.report(wav, 16000) and word in demo.report(wav, 16000)


def test_the_command_refuses_a_taken_port(capsys, served_model):
    from latent_tts.server.command import listen

    with listen("127.0.0.1", 0) as taken:
        assert cli.main(["demo", "--model", str(served_model), "--port", str(taken.getsockname()[1])]) == 2
    said = capsys.readouterr().err
    assert said.startswith("tts: error: cannot listen") and said.count("\n") == 1


@pytest.fixture
def browser(tmp_path) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS.split(), f"--user-data-dir={tmp_path / 'browser'}"]:
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path)})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield browser
    browser.quit()


def wait(condition: Callable[[], object], seconds: float = 60) -> object:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)
    return found


@pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs Debian's chromium and chromium-driver")
def test_in_a_browser(browser, serve, syllables, tmp_path):
    """Type, upload, press, hear, see, keep the voice; then an error as a sentence."""
    soundfile.write(tmp_path / "me.wav", np.pad(syllables(3.5), 8000), 16000)

    def found(selector: str) -> list:
        return browser.find_elements("css selector", selector)

    def shown(selector: str) -> str:
        return " ".join(element.text for element in found(selector))

    def retype(selector: str, text: str) -> None:
        found(selector)[0].clear()
        found(selector)[0].send_keys(text)

    with serve(page=True) as (address, _):
        assert httpx.get(f"{address}/health").json() == {"status": "ok"}
        browser.get(address)
        wait(lambda: found("#speak") and found("input[type=file]"))
        retype("#text textarea", "How are you today?")
        found("input[type=file]")[0].send_keys(str(tmp_path / "me.wav"))
        wait(lambda: "s used" in shown("#report"))
        wait(lambda: "recording" in found("#choice input")[0].get_attribute("value"))
        found("#speak")[0].click()
        played = "return [...document.querySelectorAll('#player audio')].some(a => a.currentTime > 0.2)"
        wait(lambda: browser.execute_script(played))
        wait(lambda: "s of sound" in shown("#status"))
        wait(lambda: browser.execute_script("return (document.querySelector('#picture img') || {}).naturalWidth > 100"))
        wait(lambda: "How are you today?" in shown(".spoken"))
        found("#download")[0].click()
        (path,) = wait(lambda: list(tmp_path.glob("speech-*.wav")))
        wav, _ = audio.read(path)
        assert len(wav) > 8000 and np.abs(wav).max() > 0.001
        (ROOT / "build").mkdir(exist_ok=True)
        browser.save_screenshot(str(ROOT / "build" / "page.png"))
        retype("#text textarea", "...")
        found("#speak")[0].click()
        wait(lambda: "Nothing to speak in '...'" in shown("body"))
        browser.save_screenshot(str(ROOT / "build" / "page_error.png"))
        severe = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
        assert not severe
