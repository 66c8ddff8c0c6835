"""A ledger: JSON lines that are only ever appended, so that a run that was killed knows what it had done."""

from __future__ import annotations

import json
import os
from pathlib import Path

from latent_tts.errors import UserError

NAME = "ledger.jsonl"


class Ledger:
    """The ledger of a folder, open and locked until ``close``. Its first line holds the ``settings`` of the run.

    A line that a crash tore is passed over; what it told is done again. UserError where another process is at work in
    the folder, where the folder was made with other settings, and where it cannot be written.
    """

    def __init__(self, folder: Path, settings: dict):
        self.path = Path(folder) / NAME
        try:
            self.file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        except OSError as error:
            raise UserError(f"{self.path} cannot be written ({error.strerror}); choose another folder") from None
        try:
            _lock(self.file, self.path)
            self.lines = self._read()
            self._agree(settings)
        except BaseException:
            self.close()
            raise

    def append(self, entry: dict) -> None:
        """Add a line and see it to the disk."""
        line = (json.dumps(entry, ensure_ascii=False) + "\n").encode()
        try:
            if os.write(self.file, line) < len(line):
                raise OSError(0, "the disk is full")
            os.fsync(self.file)
        except OSError as error:
            raise UserError(f"{self.path} cannot be written ({error.strerror}); make room and run this again") from None
        self.lines.append(entry)

    def close(self) -> None:
        os.close(self.file)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _read(self) -> list[dict]:
        content = self.path.read_bytes()
        if content and not content.endswith(b"\n"):
            os.write(self.file, b"\n")  # ends the torn line, so that the next is whole
        entries = []
        for line in content.split(b"\n"):
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict):
                entries.append(entry)
        return entries

    def _agree(self, settings: dict) -> None:
        before = next((entry["settings"] for entry in self.lines if "settings" in entry), None)
        if before is None:
            return self.append({"settings": settings})
        for name in settings:
            if before.get(name) != settings[name]:
                raise UserError(
                    f"{self.path.parent} was made with {name} {before.get(name)!r}, not {settings[name]!r}; "
                    "give the same options, or another folder"
                )


def _lock(file: int, path: Path) -> None:
    """Hold the file until it is closed or this process ends, however that happens."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(f"another run is at work in {path.parent}; wait for it, or give another folder") from None
    except OSError:  # a file system without locks
        return
