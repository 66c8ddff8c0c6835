"""The page: record or upload a voice, have a text spoken in it, see how. ``tts demo``, and beside the server."""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import gradio as gr
import numpy as np
from fastapi import FastAPI

from latent_tts import audio
from latent_tts.clinic import examine
from latent_tts.encoders import AacEncoder, adts_seconds
from latent_tts.errors import UserError
from latent_tts.evaluate.pictures import Spectrogram, draw
from latent_tts.frames import Sampling, Voice
from latent_tts.model_files import own_reference
from latent_tts.scheduler import Busy, Scheduler, Speech
from latent_tts.tts import ROWS, TTS
from latent_tts.voices import VoiceStore

SETTINGS = ("guidance", "steps", "temperature", "speed")
OWN, RECORDING = "default", "recording"
HISTORY = 8  # sounds of a session that stay within reach
CHARACTERS = 2000
FIRST_SECONDS, MORE_SECONDS = 0.6, 1.5  # of sound that is handed to the browser at a time
PICTURE_SECONDS = 12.0
FORGET_SECONDS = 3 * 3600  # how long a file of a session is kept
COMMENT = "AI-generated speech in a cloned voice, made with latent_tts"
EXAMPLES = [
    "Hello there. This voice was cloned from a few seconds of a recording.",
    "The rain had stopped, and the street was quiet.",
    "On 3 May at 7:45 p.m., Dr. Smith paid $12.50 for 2 lbs of apples.",
    "She opened the letter slowly, read it twice, and laughed.",
]
TITLE = """# latent_tts
Any English text in the voice of a short recording. Clone only voices whose owners agreed to it."""
CSS = """
.gradio-container {max-width: 1180px !important; margin: 0 auto !important}
#title h1 {margin-bottom: 0} #title p {color: var(--body-text-color-subdued); margin-top: .2em}
#report {font-size: .92em} #said-by textarea {font-size: 1.05em}
#picture img {object-fit: contain}
footer {display: none !important}
"""
CREATE = {"title": "latent_tts", "analytics_enabled": False, "delete_cache": (FORGET_SECONDS, FORGET_SECONDS)}
FONTS = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}  # nothing from elsewhere

log = logging.getLogger(__name__)


async def segment(value: bytes | None, output_id: str, first_chunk: bool) -> tuple[dict | None, dict]:
    """What Gradio asks of a streaming output, in place of its own, which would start ffmpeg: a segment of the playlist,
    and the playlist. ``value`` is AAC in ADTS frames."""
    playlist = {"path": output_id, "is_stream": True, "orig_name": "speech.aac", "meta": {"_type": "gradio.FileData"}}
    return {"data": value, "duration": adts_seconds(value), "extension": ".aac"} if value else None, playlist


class Spoken(NamedTuple):
    """A line of a session's history."""

    about: str
    path: str


class Page:
    """What happens when something is pressed. A voice made of a recording stays in its session until it is saved."""

    def __init__(self, scheduler: Scheduler, store: VoiceStore, own: Voice):
        self.scheduler, self.store, self.own = scheduler, store, own
        self._folder = tempfile.TemporaryDirectory(prefix="latent_tts-")

    def voices(self, recorded: Voice | None = None, value: str = OWN) -> dict:
        """The voices that can be chosen, and which one is."""
        recording = [("The recording", RECORDING)] if recorded else []
        saved = [(name, f"saved:{name}") for name in self.store.list()]
        return gr.update(choices=[("The model's own", OWN), *recording, *saved], value=value)

    async def examine(self, recording: str | None, said: str, rehearse: bool) -> tuple[Voice | None, str, dict]:
        """A recording becomes the session's voice, which may rehearse, with a report about it."""
        if not recording:
            return None, "", self.voices()
        with told():
            wav, rate = await asyncio.to_thread(audio.read_reference, recording)
            voice = await self.scheduler.call(self.scheduler.tts.clone, wav, said, rate, rehearse)
            about = await asyncio.to_thread(report, wav, rate)
        return voice, about, self.voices(voice, RECORDING)

    async def save(self, voice: Voice | None, name: str, consent: str) -> tuple[dict, str]:
        """Keep the session's voice under a name."""
        with told():
            if voice is None:
                raise UserError("record or upload a voice first")
            if len(consent.strip()) < 10:
                raise UserError("say in a sentence who speaks and that they agreed to be cloned")
            if name in self.store.list():
                raise UserError(f"there is a voice {name!r} already; choose another name")
            await asyncio.to_thread(self.store.save, name, replace(voice, consent=consent.strip()))
        return self.voices(voice, f"saved:{name}"), f"Saved as **{name}**."

    async def speak(
        self, text: str, choice: str, recorded: Voice | None, history: list[Spoken], seed: float | None, *settings
    ) -> AsyncIterator[tuple]:
        """Sound for the player while it is made; then the picture, the file, the history and the seed."""
        seed = random.randrange(10_000) if seed is None else int(seed)
        with told():
            voice = await asyncio.to_thread(self.chosen, choice, recorded)
            chosen = dict(zip(SETTINGS, settings))
            sampling = Sampling(seed, **chosen | {"steps": int(chosen["steps"])})
            speech = await self.scheduler.speak(text, voice, sampling)
        chunks: list[np.ndarray] = []
        rate, rest = self.scheduler.tts.sample_rate, [gr.skip()] * 3
        yield gr.skip(), "Speaking …", *rest
        try:
            async for content in played(speech, rate, chunks):
                yield content, f"Speaking … {sum(map(len, chunks)) / rate:.1f} s", *rest
        finally:
            speech.close()
        wav = np.concatenate(chunks)
        seconds, took = len(wav) / rate, time.monotonic() - speech.began
        name = choice.removeprefix("saved:")
        picture, path = await asyncio.to_thread(self.keep, wav, speech.marks, f"{name}, seed {seed}")
        about = f"{name} · seed {seed} · {seconds:.1f} s · {text[:60]}"
        status = f"{seconds:.1f} s of sound in {took:.1f} s, seed {seed}."
        history = [Spoken(about, path), *history][:HISTORY]
        file = gr.update(value=path, interactive=True)
        yield gr.skip(), status, gr.update(value=picture, visible=True), file, history

    def chosen(self, choice: str, recorded: Voice | None) -> Voice:
        if choice == RECORDING and recorded is None:
            raise UserError("record or upload a voice first, or choose another")
        given = {OWN: self.own, RECORDING: recorded}
        return given[choice] if choice in given else self.store.load(choice.removeprefix("saved:"))

    def keep(self, wav: np.ndarray, marks: list[tuple[float, str]], title: str) -> tuple[str, str]:
        """Files of a picture and of the sound; those that are old go."""
        folder, rate = Path(self._folder.name), self.scheduler.tts.sample_rate
        for old in folder.iterdir():
            if time.time() - old.stat().st_mtime > FORGET_SECONDS:
                old.unlink(missing_ok=True)
        name = f"speech-{time.strftime('%H%M%S')}-{random.getrandbits(32):08x}"
        shown = [(second, phone) for second, phone in marks if second < PICTURE_SECONDS]
        panel = Spectrogram(title, wav[: int(PICTURE_SECONDS * rate)], rate, shown)
        draw(folder / f"{name}.png", [panel])
        audio.write(folder / f"{name}.wav", wav, rate, comment=COMMENT)
        return str(folder / f"{name}.png"), str(folder / f"{name}.wav")


async def played(speech: Speech, rate: int, chunks: list[np.ndarray]) -> AsyncIterator[bytes]:
    """AAC for the browser, some seconds at a time; the chunks themselves are added to ``chunks``."""
    encoder, ready, wanted = AacEncoder(rate), b"", FIRST_SECONDS
    async for chunk in speech:
        chunks.append(chunk)
        ready += encoder.encode(chunk)
        if adts_seconds(ready) >= wanted:
            yield ready
            ready, wanted = b"", MORE_SECONDS
    yield ready + encoder.finish()


@contextmanager
def told() -> Iterator[None]:
    """What is wrong with the input is shown on the page as a sentence."""
    try:
        yield
    except (UserError, Busy) as error:
        sentence = str(error)
        raise gr.Error(f"{sentence[:1].upper()}{sentence[1:]}.", print_exception=False) from error


def report(wav: np.ndarray, rate: int) -> str:
    """What the clinic says of a recording (T,), as Markdown."""
    found, _ = examine(wav, rate)
    measured, *notes = found.lines()
    return "\n\n".join([f"**{measured}**", *notes, *(["Nothing speaks against it."] if found.good else [])])


def build(scheduler: Scheduler, store: VoiceStore, own: Voice) -> gr.Blocks:
    """The page, its parts joined to what they do."""
    page = Page(scheduler, store, own)
    with gr.Blocks(**CREATE) as blocks:
        gr.Markdown(TITLE, elem_id="title")
        recorded, history = gr.State(), gr.State([])
        with gr.Row(equal_height=False):
            with gr.Column(min_width=380):
                choice = voice_part(page, recorded)
            with gr.Column(min_width=380):
                text, settings, button, stop = text_part()
                player, status, download = result_part()
        picture = gr.Image(show_label=False, interactive=False, visible=False, buttons=[], elem_id="picture")
        speaking = gr.on(
            [button.click, text.submit],
            page.speak,
            [text, choice, recorded, history, *settings],
            [player, status, picture, download, history],
            show_progress="hidden",
        )
        stop.click(None, cancels=[speaking])
        history_part(history)
        blocks.load(page.voices, None, [choice])
    return blocks.queue(default_concurrency_limit=ROWS, max_size=32)


def voice_part(page: Page, recorded: gr.State) -> gr.Dropdown:
    """Who speaks: a voice that is there, or one that is made here."""
    gr.Markdown("### Voice")
    choice = gr.Dropdown([("The model's own", OWN)], value=OWN, label="Who speaks", filterable=False, elem_id="choice")
    recording = gr.Audio(
        type="filepath", sources=["upload", "microphone"], label="A recording of another voice", buttons=[]
    )
    findings = gr.Markdown("3 to 10 seconds of one person, in a quiet room, are best.", elem_id="report")
    said = gr.Textbox(label="What is said in it", info="Not needed; Enter takes it along")
    rehearse = gr.Checkbox(label="Rehearse", info="Nearer to the recording, a little less clean", elem_id="rehearse")
    with gr.Accordion("Keep this voice", open=False):
        name = gr.Textbox(label="Name", placeholder="letters, digits, - and _", max_length=64, elem_id="name")
        consent = gr.Textbox(
            label="Consent", placeholder="I am Anna, and I agree that my voice is cloned.", elem_id="consent"
        )
        keep, kept = gr.Button("Save the voice", elem_id="save"), gr.Markdown("", elem_id="saved")
    examined = [recorded, findings, choice]
    changed = [recording.change, said.submit, rehearse.input]
    gr.on(changed, page.examine, [recording, said, rehearse], examined, show_progress="minimal")
    keep.click(page.save, [recorded, name, consent], [choice, kept])
    return choice


def text_part() -> tuple[gr.Textbox, list[gr.components.Component], gr.Button, gr.Button]:
    """What is said, the settings, and two buttons."""
    gr.Markdown("### Text")
    text = gr.Textbox(value=EXAMPLES[0], lines=4, max_length=CHARACTERS, show_label=False, elem_id="text")
    gr.Examples([[example] for example in EXAMPLES], text, label="Examples")
    with gr.Accordion("How it is drawn", open=False):
        default = Sampling()
        with gr.Row():
            seed = gr.Number(label="Seed", info="Empty: another each time", precision=0, minimum=0, value=None)
            speed = gr.Slider(0.5, 2, default.speed, step=0.05, label="Speed")
        with gr.Row():
            guidance = gr.Slider(1, 4, default.guidance, step=0.1, label="Guidance")
            steps = gr.Slider(1, 30, default.steps, step=1, label="Steps")
            temperature = gr.Slider(0, 1.2, default.temperature, step=0.05, label="Temperature")
    with gr.Row():
        button = gr.Button("Speak", variant="primary", elem_id="speak", scale=3)
        stop = gr.Button("Stop", scale=1)
    return text, [seed, guidance, steps, temperature, speed], button, stop


def result_part() -> tuple[gr.Audio, gr.HTML, gr.DownloadButton]:
    """The player, what happens, and the file."""
    player = gr.Audio(label="Speech", streaming=True, autoplay=True, interactive=False, buttons=[], elem_id="player")
    player.stream_output = segment
    status = gr.HTML("", elem_id="status")
    download = gr.DownloadButton("Download as wav", interactive=False, size="sm", elem_id="download")
    return player, status, download


def history_part(history: gr.State) -> None:
    """What was spoken, the latest first."""
    gr.Markdown("### This session\nWhat you have had spoken stays here until you leave the page.")

    @gr.render(inputs=[history])
    def show(history: list[Spoken]) -> None:
        for about, path in history:
            gr.Audio(path, label=about, interactive=False, buttons=["download"], elem_classes="spoken")


def look() -> dict[str, object]:
    """How the page looks, and what it may do."""
    theme = gr.themes.Soft(primary_hue="teal", neutral_hue="slate", **FONTS)
    return {"theme": theme, "css": CSS, "footer_links": [], "run_history": False, "max_file_size": "25mb"}


def mount(app: FastAPI, scheduler: Scheduler, store: VoiceStore, own: Voice) -> None:
    """Put the page at the root of a server that has its other routes already."""
    gr.mount_gradio_app(app, build(scheduler, store, own), "/", ssr_mode=False, **look())


def command(argv: list[str], parser_class: type[argparse.ArgumentParser]) -> int:
    """``tts demo``: the page alone, until interrupted."""
    parser = parser_class(prog="tts demo", description="Show a page to clone voices on, on this machine alone.")
    parser.add_argument("--port", type=int, default=7860, metavar="N", help="default: 7860")
    parser.add_argument("--voices", type=Path, metavar="DIR", help="where voices are saved; default: the user's own")
    parser.add_argument("--model", metavar="DIR", help="a model directory; default: the one that is shipped")
    parser.add_argument("--device", choices=("cpu", "cuda", "mps"), default="cpu", help="default: cpu")
    args = parser.parse_args(argv)
    tts = TTS.from_dir(args.model, args.device)
    reference, text = own_reference(tts.folder)
    scheduler, own = Scheduler(tts), tts.clone(reference, text)
    blocks = build(scheduler, VoiceStore(args.voices), own)
    options = {"server_name": "127.0.0.1", "server_port": args.port, "quiet": True, "ssr_mode": False}
    try:
        blocks.launch(prevent_thread_lock=True, **options, **look())
    except OSError as error:
        raise UserError(f"cannot listen on port {args.port} ({error}); choose another with --port") from error
    log.info("http://127.0.0.1:%d shows the page; interrupt to end", args.port)
    try:
        threading.Event().wait()
    finally:
        blocks.close(verbose=False)
        scheduler.close()
