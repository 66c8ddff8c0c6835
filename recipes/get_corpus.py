"""Stage 0: where a corpus can be had, and, for the parts named in --parts, its download into --corpus_dir.

Nothing is fetched unasked. A download that broke off goes on, is checked by its SHA-256 where that is known, and is
unpacked beside its place: a part is there whole or not at all.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
import tarfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import yaml
from stage import progress, stage

from latent_tts.errors import UserError

BLOCK = 1 << 20


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, metavar="YAML", help="egs/NAME/local/corpus.yaml")
    parser.add_argument("--corpus_dir", type=Path, required=True, help="where the corpus goes")
    parser.add_argument("--parts", nargs="*", default=[], metavar="PART", help="to download; none: say what there is")
    options = parser.parse_args(argv)
    archives = yaml.safe_load(options.corpus.read_text("utf-8")).get("archives") or {}
    unknown = sorted(set(options.parts) - archives.keys())
    if unknown:
        raise UserError(f"{options.corpus} knows no part {unknown[0]!r}; it has: {', '.join(archives)}")
    for part in options.parts:
        get(part, archives[part], options.corpus_dir)
    if not options.parts:
        for part, archive in archives.items():
            print(f"{part:16} {archive['size']:>8}  {archive['url']}")


def get(part: str, archive: dict[str, str], corpus_dir: Path) -> None:
    """Fetch, check and unpack one archive; one that was is left alone."""
    done = corpus_dir / f".{part}.done"
    if done.exists():
        return
    corpus_dir.mkdir(parents=True, exist_ok=True)
    file = corpus_dir / f".{archive['url'].rsplit('/', 1)[-1]}.part"
    print(f"get_corpus: {archive['url']} ({archive['size']}) -> {corpus_dir}", file=sys.stderr)
    try:
        download(archive["url"], file)
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise UserError(f"{archive['url']} cannot be fetched ({reason}); run this again to go on") from None
    if "sha256" in archive and digest(file) != archive["sha256"]:
        file.unlink()
        raise UserError(f"{archive['url']} came damaged or is another version now; run this again")
    unpack(file, corpus_dir / f".{part}.unpacked", corpus_dir, archive.get("root", "."))
    file.unlink()
    done.touch()


def download(url: str, file: Path) -> None:
    """Append what ``file`` lacks, or begin anew where the server does not send the rest alone."""
    have = file.stat().st_size if file.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            with open(file, "ab" if getattr(answer, "status", 200) == 206 else "wb") as out:
                for block in progress(blocks(answer), desc=file.name.strip("."), unit="MiB"):
                    out.write(block)
    except urllib.error.HTTPError as error:
        if not (have and error.code == 416):  # nothing is left to send
            raise


def blocks(stream: object) -> Iterator[bytes]:
    while block := stream.read(BLOCK):
        yield block


def digest(file: Path) -> str:
    """SHA-256 in hexadecimal."""
    sha256 = hashlib.sha256()
    with open(file, "rb") as stream:
        for block in blocks(stream):
            sha256.update(block)
    return sha256.hexdigest()


def harmless(archive: tarfile.TarFile, beside: Path) -> Iterator[tarfile.TarInfo]:
    """Its members. TarError at one that is no file or folder below ``beside``: Python before 3.10.12 and 3.11.4, as in
    some distributions, does not look itself."""
    for member in archive:
        inside = (beside / member.name).resolve().is_relative_to(beside.resolve())
        if not (inside and (member.isfile() or member.isdir())):
            raise tarfile.TarError(f"it holds '{member.name}', which is no file or folder of a corpus")
        yield member


def unpack(file: Path, beside: Path, corpus_dir: Path, root: str) -> None:
    """Unpack into ``beside``, then move what lies in its folder ``root`` to ``corpus_dir``."""
    shutil.rmtree(beside, ignore_errors=True)
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                archive.extractall(beside)
        else:
            with tarfile.open(file) as archive:
                archive.extraction_filter = getattr(tarfile, "data_filter", None)
                archive.extractall(beside, members=harmless(archive, beside))
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise UserError(f"{file} cannot be unpacked ({error}); remove it and run this again") from None
    for path in sorted((beside / root).iterdir()):
        if not (corpus_dir / path.name).exists():  # archives of one corpus share a README
            os.replace(path, corpus_dir / path.name)
    shutil.rmtree(beside)


if __name__ == "__main__":
    sys.exit(main())
