"""Files that appear whole or not at all."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from latent_tts.errors import UserError


def write_whole(path: str | Path, content: bytes) -> None:
    """Write ``content`` beside ``path`` and rename it. UserError where that cannot be done; nothing is left then."""
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise UserError(f"{path} cannot be written ({error.strerror}); choose another place") from None


def write_json(path: str | Path, content: object) -> None:
    """The same for what JSON can hold."""
    write_whole(path, (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode())
