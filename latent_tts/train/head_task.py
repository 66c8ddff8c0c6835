"""Training of a new head for a language model whose other weights stay as they are."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch

from latent_tts.data.cloning import CloningConfig
from latent_tts.errors import UserError
from latent_tts.frames import Sampling, Utterances
from latent_tts.lm.aligned import AlignedLMConfig
from latent_tts.lm.heads import energy_score
from latent_tts.lm.latent_lm import LatentLM, LatentLMConfig
from latent_tts.train.lm_task import LMTask, LMTraining


@dataclass(frozen=True)
class HeadTraining(LMTraining):
    """Budget of a head's training."""

    steps: int = 1500
    warmup: int = 100
    condition: bool = False  # whether the layers that make the head's condition learn, too


class HeadTask(LMTask):
    """A language model whose head alone learns: heads compared on one trunk, at a fraction of its training's cost.

    ``take_trunk`` gives it the other weights. They see no gradient and no dropout; conditions are dropped as ever, so
    that the null keeps its meaning to the new head.
    """

    part = "head"
    own = ("head", "previous")  # parts of the language model that are new
    solver_steps = (1, 10)  # of the draws in validation
    free = {  # what may differ from the model that the trunk is of
        *("head", "head_dim", "head_layers", "draws", "guidance", "previous_frame"),
        *("dropout", "condition_dropout", "advance_weight"),
    }

    def __init__(
        self,
        lm: LatentLMConfig = AlignedLMConfig(),
        training: HeadTraining = HeadTraining(),
        cloning: CloningConfig = CloningConfig(),
    ):
        super().__init__(lm, training, cloning)
        learning = {*self.own, "condition"} if training.condition else self.own
        for name, parameter in self.lm.named_parameters():
            parameter.requires_grad_(name.split(".")[0] in learning)

    def take_trunk(self, model: LatentLM) -> None:
        """Copy all but the head from ``model``. UserError where more than the head is of another size."""
        here, there = asdict(self.lm.config), asdict(model.config)
        for name in sorted(here.keys() - self.free):
            if here[name] != there.get(name):
                raise UserError(
                    f"lm.{name} is {here[name]}, but {there.get(name)} in the model whose head is to be replaced; "
                    "leave it out, only the head is new"
                )
        trunk = {k: v for k, v in model.state_dict().items() if k.split(".")[0] not in self.own}
        for network in (self.lm, self.average.module):
            network.load_state_dict(network.state_dict() | trunk)

    def train(self, mode: bool = True) -> HeadTask:
        super().train(mode)
        self.lm.eval()
        return self

    def validation_step(self, batch: Utterances, batch_idx: int) -> None:
        """Also ``valid/energy_<n>_steps``: energy scores of frames drawn in n steps under true conditions. They mean
        the same for every head, as losses do not."""
        super().validation_step(batch, batch_idx)
        lm = self.average.module
        frames, cond, _ = lm.learnt(batch)
        for steps in self.solver_steps:
            sampling = Sampling(steps=steps, guidance=1, temperature=1)
            noise = torch.randn(2, len(cond), lm.head.noise_dim, device=cond.device)
            drawn = torch.stack([lm.head.sample(cond, lm.null, sampling, some).float() for some in noise])
            score = energy_score(drawn, frames).mean()
            self.log(f"valid/energy_{steps}_steps", score, prog_bar=True, batch_size=len(batch), sync_dist=True)
