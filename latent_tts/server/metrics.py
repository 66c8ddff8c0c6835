"""Counters in Prometheus' text format."""

from __future__ import annotations

from collections import Counter

from latent_tts.scheduler import Scheduler

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OWN_PATHS = ("/v1/audio/speech", "/v1/audio/voices", "/v1/models", "/health", "/ready", "/metrics")
BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds


class Metrics:
    """What has happened since the start; kept in the event loop alone."""

    def __init__(self):
        self.answers: Counter[tuple[str, int]] = Counter()  # by path and status
        self.audio_seconds = 0.0
        self.characters = 0
        self.first: Counter[float] = Counter()  # how many waited at most so long for their first sound
        self.waits = 0
        self.waited_seconds = 0.0

    def answered(self, path: str, status: int) -> None:
        """A request had this answer. Paths are told apart by their beginnings."""
        self.answers[next((own for own in OWN_PATHS if path.startswith(own)), "other"), status] += 1

    def first_sound(self, seconds: float) -> None:
        """Somebody waited so long for the first of their sound."""
        self.waits += 1
        self.waited_seconds += seconds
        self.first.update(bound for bound in BOUNDS if seconds <= bound)

    def text(self, scheduler: Scheduler) -> str:
        """The page that Prometheus reads."""
        answers = {f'{{path="{path}",status="{status}"}}': n for (path, status), n in sorted(self.answers.items())}
        waits = {f'_bucket{{le="{bound:g}"}}': self.first[bound] for bound in BOUNDS}
        waits |= {'_bucket{le="+Inf"}': self.waits, "_sum": self.waited_seconds, "_count": self.waits}
        sentences = sum(map(len, scheduler.batches))
        return "".join(
            (
                _family("requests_total", "counter", "Requests answered.", answers),
                _family("audio_seconds_total", "counter", "Sound sent, in seconds.", {"": self.audio_seconds}),
                _family("characters_total", "counter", "Characters of accepted texts.", {"": self.characters}),
                _family("first_sound_seconds", "histogram", "From a request to its first sound.", waits),
                _family("speeches", "gauge", "Texts being spoken or waiting.", {"": scheduler.speeches}),
                _family("sentences", "gauge", "Sentences being spoken.", {"": sentences}),
            )
        )


def _family(name: str, kind: str, about: str, values: dict[str, float]) -> str:
    lines = [f"# HELP latent_tts_{name} {about}", f"# TYPE latent_tts_{name} {kind}"]
    return "".join(f"{line}\n" for line in [*lines, *(f"latent_tts_{name}{key} {n}" for key, n in values.items())])
