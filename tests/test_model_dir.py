"""Model directories: what is saved is loaded, and what does not fit is refused in one line."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from tiny import tiny_codec, tiny_lm, tiny_model, tiny_valle

from latent_tts.errors import UserError
from latent_tts.model_dir import adopt, load_aligner, load_codec, load_lm, save_part
from latent_tts.model_files import load_symbols, voice_hash
from latent_tts.tts import TTS

LOADERS: dict[str, Callable] = {"codec": load_codec, "lm": load_lm, "aligner": load_aligner}
ANY_PART = pytest.mark.parametrize("part", LOADERS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "whole")


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def refuse(load: Callable, folder: Path, *complaints: str) -> None:
    """One line that names the place and says what is wrong."""
    with pytest.raises(UserError) as refused:
        load(folder)
    for complaint in (folder.name, *complaints):
        assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


def configure(folder: Path, change: Callable[[dict], object]) -> None:
    about = yaml.safe_load((folder / "config.yaml").read_text())
    change(about)
    (folder / "config.yaml").write_text(yaml.safe_dump(about))


def test_a_whole_directory_is_loaded(whole):
    codec, lm, (aligner, symbols) = load_codec(whole), load_lm(whole), load_aligner(whole)
    for module in (codec, lm, aligner):
        assert not module.training and not any(p.requires_grad for p in module.parameters())
        assert all(t.dtype == torch.float32 for t in module.state_dict().values() if t.is_floating_point())
    assert symbols == load_symbols(whole) and len(symbols) == lm.config.vocabulary


def test_vectors_are_kept_exactly_and_matrices_in_half(whole):
    own, stored = tiny_codec().state_dict(), load_file(whole / "codec.safetensors")
    for name, tensor in own.items():
        assert stored[name].dtype == (torch.float16 if tensor.ndim > 1 else tensor.dtype), name
    assert torch.equal(stored["bottleneck.scale"], own["bottleneck.scale"])


def test_a_directory_holds_no_more_than_it_should(whole):
    names = {path.name for path in whole.iterdir()}
    assert names == {"config.yaml", "phones.txt", "codec.safetensors", "lm.safetensors", "aligner.safetensors"}
    about = yaml.safe_load((whole / "config.yaml").read_text())
    assert list(about) == ["format", "codec", "lm", "aligner"] and about["codec"]["frame_rate"] == 12.5


def test_a_part_replaces_a_part(folder):
    before = (folder / "lm.safetensors").read_bytes()
    codec = tiny_codec(24000, 15)
    save_part(folder, "codec", codec)
    assert load_codec(folder).sample_rate == 24000 and load_lm(folder).config == tiny_lm().config
    assert (folder / "lm.safetensors").read_bytes() == before


def test_a_voice_belongs_to_codec_and_symbols(folder):
    """Another language model, or another aligner, still reads its frames."""
    before = voice_hash(folder)
    save_part(folder, "lm", tiny_lm(5))
    assert voice_hash(folder) == before
    save_part(folder, "codec", tiny_codec(seed=5))
    assert voice_hash(folder) != before


class TestAdopt:
    def test_parts_that_are_missing_are_copied(self, whole, tmp_path):
        lm = tiny_lm(7)
        save_part(tmp_path / "new", "lm", lm)
        adopt(whole, tmp_path / "new")
        load_symbols(whole).write(tmp_path / "new/phones.txt")
        assert (tmp_path / "new/codec.safetensors").read_bytes() == (whole / "codec.safetensors").read_bytes()
        assert torch.allclose(load_lm(tmp_path / "new").first, lm.first)
        TTS.from_dir(tmp_path / "new")
        assert not [path for path in (tmp_path / "new").iterdir() if "part" in path.name]

    def test_a_call_that_was_killed_is_made_good(self, whole, tmp_path):
        """It had described the aligner and not brought its weights."""
        save_part(tmp_path / "new", "lm", tiny_lm())
        adopt(whole, tmp_path / "new")
        weights = tmp_path / "new/aligner.safetensors"
        weights.unlink()
        adopt(whole, tmp_path / "new")
        assert weights.read_bytes() == (whole / "aligner.safetensors").read_bytes()

    def test_an_incomplete_source_is_refused(self, folder, tmp_path):
        lm = tiny_lm()
        save_part(tmp_path / "new", "lm", lm)
        (folder / "codec.safetensors").unlink()
        with pytest.raises(UserError, match="codec.safetensors is missing"):
            adopt(folder, tmp_path / "new")


class TestRefused:
    @pytest.mark.parametrize(
        "name", ["config.yaml", "phones.txt", "codec.safetensors", "lm.safetensors", "aligner.safetensors"]
    )
    def test_incomplete(self, folder, name):
        (folder / name).unlink()
        load = load_aligner if name == "aligner.safetensors" else TTS.from_dir
        refuse(load, folder, "incomplete", name)

    def test_no_directory(self, tmp_path, whole):
        refuse(TTS.from_dir, tmp_path / "nowhere", "no such model directory")
        refuse(TTS.from_dir, whole / "config.yaml", "no such model directory")

    @ANY_PART
    def test_newer_format(self, folder, part):
        configure(folder, lambda about: about.update(format=2))
        refuse(LOADERS[part], folder, "newer", "upgrade")

    @pytest.mark.parametrize("part", ["codec", "lm"])
    @pytest.mark.parametrize("kind", ["vq_vae", None, 3, ["sigma_vae"]])
    def test_unknown_kind(self, folder, part, kind):
        configure(folder, lambda about: about[part].update(kind=kind))
        refuse(LOADERS[part], folder, "config.yaml", part, "this version knows")

    @ANY_PART
    def test_unknown_key(self, folder, part):
        configure(folder, lambda about: about[part].update(nonsense=3))
        refuse(LOADERS[part], folder, "config.yaml", part, "'nonsense'", "known are", "dim")

    @ANY_PART
    @pytest.mark.parametrize("settings", ["text", 3, ["a"]])
    def test_no_settings(self, folder, part, settings):
        configure(folder, lambda about: about.update({part: settings}))
        refuse(LOADERS[part], folder, "config.yaml", part)

    @ANY_PART
    @pytest.mark.parametrize("value", ["wide", -1, 0.5, None, [1]])
    def test_sizes_that_are_none(self, folder, part, value):
        name = {"codec": "encoder_dim", "lm": "dim", "aligner": "dim"}[part]
        configure(folder, lambda about: about[part].update({name: value}))
        refuse(LOADERS[part], folder, part)

    def test_rates_that_do_not_fit(self, folder):
        configure(folder, lambda about: about["codec"].update(frame_rate=7.5))
        with pytest.raises(UserError, match="stft_hop"):
            load_codec(folder)
        configure(folder, lambda about: about["codec"].update(frame_rate=0))
        refuse(load_codec, folder, "codec")

    @ANY_PART
    def test_other_sizes_than_the_weights(self, folder, part):
        name = {"codec": "decoder_dim", "lm": "text_dim", "aligner": "dim"}[part]
        configure(folder, lambda about: about[part].update({name: 8}))
        refuse(LOADERS[part], folder, f"{part}.safetensors", "do not fit config.yaml")

    @ANY_PART
    def test_missing_and_unexpected_tensors(self, folder, part):
        file = folder / f"{part}.safetensors"
        tensors = load_file(file)
        name = sorted(tensors)[-1]
        save_file({k: v for k, v in tensors.items() if k != name}, file)
        refuse(LOADERS[part], folder, file.name, name, "missing")
        save_file(tensors | {"extra": torch.zeros(1)}, file)
        refuse(LOADERS[part], folder, file.name, "extra", "not expected")

    @ANY_PART
    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_weights_that_are_not_finite(self, folder, part, value):
        file = folder / f"{part}.safetensors"
        tensors = load_file(file)
        name = next(k for k, v in tensors.items() if v.is_floating_point())
        tensors[name].view(-1)[-1] = value
        save_file(tensors, file)
        refuse(LOADERS[part], folder, file.name, name, "not finite")

    @ANY_PART
    def test_a_pickle_is_not_opened(self, folder, part):
        """Torch's zip of pickles, a plain pickle, a cut file: none of them is run, all are refused."""
        file = folder / f"{part}.safetensors"
        content = file.read_bytes()
        torch.save({"weight": torch.zeros(3)}, file)
        refuse(LOADERS[part], folder, file.name, "not a safetensors file")
        for other in (pickle.dumps(Trap(folder)), content[: len(content) // 2], b""):
            file.write_bytes(other)
            refuse(LOADERS[part], folder, file.name, "not a safetensors file")
        assert not (folder / "sprung").exists()

    @pytest.mark.parametrize("content", [b"", b"- 1", b"{", b"format: one", b"\xff\xfe", b"format: true\x00"])
    def test_nonsense_in_place_of_a_config(self, folder, content):
        (folder / "config.yaml").write_bytes(content)
        refuse(load_codec, folder, "config.yaml")

    def test_parts_of_different_models(self, folder):
        """Each loads by itself, but they do not speak together."""
        save_part(folder, "lm", tiny_lm(frame_dim=9))
        refuse(TTS.from_dir, folder, "sigma_vae with frames of 6 floats", "latent_lm with frames of 9 floats")

    def test_a_latent_lm_on_codes(self, folder):
        """Not even where a frame has as many codes as it has floats."""
        save_part(folder, "codec", tiny_codec(kind="rvq"))
        assert load_codec(folder).frame_format == (3, 32) and load_lm(folder).frame_format == (6, 0)
        refuse(TTS.from_dir, folder, "rvq with frames of 3 codes of 32", "latent_lm with frames of 6 floats")
        save_part(folder, "lm", tiny_lm(frame_dim=3))
        refuse(TTS.from_dir, folder, "rvq with frames of 3 codes of 32", "latent_lm with frames of 3 floats")

    def test_a_valle_on_floats(self, folder):
        """And on codes of other codebooks."""
        save_part(folder, "lm", tiny_valle())
        refuse(TTS.from_dir, folder, "sigma_vae with frames of 6 floats", "valle_lm with frames of 3 codes of 32")
        save_part(folder, "codec", tiny_codec(kind="rvq"))
        TTS.from_dir(folder)
        save_part(folder, "lm", tiny_valle(entries=31))
        refuse(TTS.from_dir, folder, "rvq with frames of 3 codes of 32", "valle_lm with frames of 3 codes of 31")

    @pytest.mark.parametrize("kinds", [("sigma_vae", "rvq"), ("rvq", "sigma_vae")])
    def test_a_codec_of_one_kind_with_the_sizes_of_another(self, folder, kinds):
        save_part(folder, "codec", tiny_codec(kind=kinds[0]))
        configure(folder, lambda about: about["codec"].update(kind=kinds[1]))
        refuse(load_codec, folder, "config.yaml", "codec", "known are")

    @pytest.mark.parametrize("count", [90, 107])
    def test_another_symbol_table(self, folder, count):
        lines = [*(folder / "phones.txt").read_text("utf-8").splitlines(), "ɸ"][:count]
        (folder / "phones.txt").write_text("\n".join(lines) + "\n", "utf-8")
        refuse(TTS.from_dir, folder, "different models")


class Trap:
    """Unpickled, it leaves a file behind."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self):
        return Path.touch, (self.folder / "sprung",)
