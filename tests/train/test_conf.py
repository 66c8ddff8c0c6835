"""Settings are read as their trainings read them; language models too big for a test are built without memory."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import torch
import yaml

pytest.importorskip("lightning")
ROOT = Path(__file__).parents[2]
CONF = ROOT / "recipes/conf"


@pytest.fixture
def parser_of(monkeypatch):
    """The parser of a part's training."""
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))
    train = importlib.import_module("train")

    def build(part: str):
        parser = train.ArgumentParser(exit_on_error=False)
        parser.add_argument("--config", action="config")
        train.add_task(parser, train.tasks()[part])
        return parser

    return build


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_setting_is_one_of_its_training(path, parser_of):
    part = path.stem.split("_")[0]
    wanted = ["--task.spoken", str(ROOT)] if part == "spoken" else []
    read = parser_of(part).parse_args(["--config", str(path), *wanted])
    said = yaml.safe_load(path.read_text())["task"]["training"]
    numbers = {name: value for name, value in said.items() if isinstance(value, (int, float))}
    assert numbers and {name: read.task.training[name] for name in numbers} == numbers


@pytest.mark.parametrize("name", ["lm_nano", "lm_base", "lm_paper"])
def test_a_language_model_is_of_the_size_it_says(name, parser_of):
    """And fits the frames of the codec that it says, with references of 1 to 30 s."""
    parser = parser_of("lm")
    with torch.device("meta"):
        task = parser.instantiate(parser.parse_args(["--config", str(CONF / f"{name}.yaml")])).task
    comment = (CONF / f"{name}.yaml").read_text().split("task:")[0]
    count, codec = re.search(r"^# (\d+) M parameters, head included. For the frames of (\w+\.yaml)\.", comment).groups()
    assert round(sum(p.numel() for p in task.lm.parameters()) / 1e6) == int(count)
    sizes = yaml.safe_load((CONF / codec).read_text())["task"]["codec"]
    assert task.lm.frame_format.width == sizes["latent_dim"]
    seconds = [frames / sizes["frame_rate"] for frames in (task.cloning.shortest, task.cloning.longest)]
    assert seconds == pytest.approx([1, 30], abs=0.05)
    assert task.cloning.trim / sizes["frame_rate"] == pytest.approx(0.5, abs=0.05)
    assert task.training_config.batch_frames >= 2 * task.cloning.longest
