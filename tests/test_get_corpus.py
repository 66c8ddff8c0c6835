"""A corpus is downloaded when asked for, whole or not at all, from a real server on this machine."""

from __future__ import annotations

import hashlib
import http.server
import io
import re
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml


def tar(*names: str, link: str = "") -> bytes:
    """Files that hold their names, and a link that leads out of the archive."""
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
        if link:
            member = tarfile.TarInfo(link)
            member.type, member.linkname = tarfile.SYMTYPE, "/etc"
            archive.addfile(member)
    return memory.getvalue()


def zipped(*names: str) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name in names:
            archive.writestr(name, name)
    return memory.getvalue()


CONTENT = {
    "a.tar.gz": tar("Libri/README", "Libri/dev-clean/84/1/84-1.trans.txt"),
    "b.tar.gz": tar("Libri/README", "Libri/test-clean/61/1/61-1.trans.txt"),
    "c.zip": zipped("txt/p1/p1_001.txt"),
    "evil.tar.gz": tar("../../outside"),
    "linked.tar.gz": tar("Libri/README", link="Libri/dev-clean"),
}


class Handler(http.server.BaseHTTPRequestHandler):
    """Knows ranges, and notes what was asked for."""

    asked: list[tuple[str, str]] = []

    def do_GET(self) -> None:  # noqa: N802, the name is the library's
        name, wanted = self.path.strip("/"), self.headers.get("Range", "")
        self.asked.append((name, wanted))
        content = CONTENT.get(name)
        begin = int(re.sub(r"\D", "", wanted) or 0)
        if content is None or begin >= len(content):
            self.send_error(404 if content is None else 416)
            return
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        self.wfile.write(content[begin:])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def facts(tmp_path) -> Iterator[Path]:
    """A corpus.yaml whose archives a server on this machine has."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Handler.asked = []
    root, digest = f"http://127.0.0.1:{server.server_port}", hashlib.sha256(CONTENT["a.tar.gz"]).hexdigest()
    archives = {
        "dev-clean": {"url": f"{root}/a.tar.gz", "root": "Libri", "sha256": digest},
        "test-clean": {"url": f"{root}/b.tar.gz", "root": "Libri"},
        "zip": {"url": f"{root}/c.zip"},
        "damaged": {"url": f"{root}/b.tar.gz", "root": "Libri", "sha256": "0" * 64},
        "gone": {"url": f"{root}/none.tar.gz"},
        "evil": {"url": f"{root}/evil.tar.gz"},
        "linked": {"url": f"{root}/linked.tar.gz"},
    }
    for archive in archives.values():
        archive["size"] = "1 kB"
    (tmp_path / "corpus.yaml").write_text(yaml.safe_dump({"archives": archives}, sort_keys=False))
    yield tmp_path / "corpus.yaml"
    server.shutdown()
    server.server_close()


@pytest.fixture
def get(facts, stage, tmp_path):
    """``get(*parts)`` downloads into ``tmp_path/corpus`` -> the status."""
    return lambda *parts: stage("get_corpus", "--corpus", facts, "--corpus_dir", tmp_path / "corpus", "--parts", *parts)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("[!.]*") if path.is_file())


def test_without_parts_it_says_where(facts, get, tmp_path, capsys):
    assert get() == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7 and re.fullmatch(r"dev-clean +1 kB  http://127.0.0.1:\d+/a.tar.gz", lines[0])
    assert not Handler.asked and not (tmp_path / "corpus").exists()


def test_parts_are_fetched_once(get, tmp_path):
    assert get("dev-clean", "test-clean") == get("dev-clean") == get("zip") == 0
    wanted = ["README", "dev-clean/84/1/84-1.trans.txt", "test-clean/61/1/61-1.trans.txt", "txt/p1/p1_001.txt"]
    assert files(tmp_path / "corpus") == wanted
    assert [name for name, _ in Handler.asked] == ["a.tar.gz", "b.tar.gz", "c.zip"]


def test_a_download_that_broke_off_goes_on(get, tmp_path):
    (tmp_path / "corpus").mkdir()
    for have in (CONTENT["a.tar.gz"][:50], CONTENT["a.tar.gz"]):
        (tmp_path / "corpus/.dev-clean.done").unlink(missing_ok=True)
        (tmp_path / "corpus/.a.tar.gz.part").write_bytes(have)
        assert get("dev-clean") == 0
    assert [wanted for _, wanted in Handler.asked] == ["bytes=50-", f"bytes={len(CONTENT['a.tar.gz'])}-"]
    assert "dev-clean/84/1/84-1.trans.txt" in files(tmp_path / "corpus")


@pytest.mark.parametrize(
    ("part", "line"),
    [
        ("damaged", "came damaged or is another version now"),
        ("gone", "cannot be fetched (Not Found); run this again"),
        ("evil", "cannot be unpacked"),
        ("linked", "cannot be unpacked"),
        ("dev-other", "knows no part 'dev-other'; it has: dev-clean, test-clean"),
    ],
)
def test_what_cannot_be_had_is_one_line(part, line, get, tmp_path, capsys):
    assert get(part) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("get_corpus: error: ") and line in said
    assert not files(tmp_path / "corpus") and not (tmp_path / "outside").exists()
