"""Arrays on disk that are written row by row, so that they may be larger than memory."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from latent_tts.errors import UserError


class RowFile:
    """An .npy file (rows, *width) that grows: ``with RowFile(path, np.int16) as file: file.append(rows)``.

    It is written beside ``path`` and appears there when the block ends, the bytes that ``np.save`` writes for all rows.
    Where the block fails nothing is left. UserError where it cannot be written.
    """

    def __init__(self, path: Path, dtype: type | np.dtype):
        self.path, self.beside = Path(path), Path(path).with_name(f".{Path(path).name}.{os.getpid()}.part")
        self.dtype, self.width, self.rows = np.dtype(dtype), None, 0

    def __enter__(self) -> RowFile:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = open(self.beside, "wb")
        except OSError as error:
            raise UserError(f"{self.path} cannot be written ({error.strerror}); choose another place") from None
        return self

    def append(self, rows: np.ndarray) -> None:
        """Rows (n, *width); the first ones decide the width."""
        if self.width is None:
            self.width = rows.shape[1:]
            self._header()
        if rows.shape[1:] != self.width:
            raise ValueError(f"rows of shape {rows.shape[1:]} after rows of shape {self.width}")
        self.file.write(np.ascontiguousarray(rows, self.dtype).tobytes())
        self.rows += len(rows)

    def _header(self) -> None:
        """numpy leaves room in a header for the first dimension to grow."""
        self.file.seek(0)
        shape = (self.rows, *(self.width or ()))
        about = {"descr": npy.dtype_to_descr(self.dtype), "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(self.file, about)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self.file:
            if kind is None:
                self._header()
        if kind is None:
            os.replace(self.beside, self.path)
            return
        self.beside.unlink(missing_ok=True)
        with suppress(OSError):
            self.path.parent.rmdir()  # unless something else is there
