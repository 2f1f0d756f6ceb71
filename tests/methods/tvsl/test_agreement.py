"""T-VSL against `oracle.py`, which writes Secs. 3.2 to 3.4 out by loops, on random batches.

Both sides compute in float64, where a sum of some dozens of terms is exact to about 1e-15 and a
logit scale of up to 100 makes 1e-13 of that: losses, maps and scores must agree to 1e-11, gradients
to 1e-7 of the largest entry of their tensor, or of 1e-6. (The worst of all 400 cases: losses 4e-15,
maps 1e-14, scores 5e-14, gradients 2e-9, of a tensor that is 0 but for rounding.)

The decomposition alone stops when it has about three digits; here it goes on to 13, so that its
formula is compared and not its patience; `test_detection_decomposition.py` is about that.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.methods.tvsl.inputs import total, vocabulary
from tests.methods.tvsl.oracle import Oracle
from tvsl.methods.tvsl import TVSL, TVSLConfig, detection, preset
from tvsl.tokens import Queries, Tokens, Vocabulary

TOLERANCE, GRADIENT_TOLERANCE = 1e-11, 1e-7

OPTIONS: dict[str, list[Any]] = {
    "token_projectors": ["identity", "slow", "trained"],
    "fusion_layers": [1, 2],
    "detector": ["evidence", "agreement", "decomposition", "fusion", "joint"],
    "detach_detection": [True, False],
    "audio_conditioning": [True, True, False],
    "image_conditioning": [True, True, False],
    "class_projectors": [True, False],
    "class_negatives": [False, True],
    "class_focus": [0.0, 3.0, 30.0],
    "class_weight": [1.0, 0.3],
    "correspondence": [True, True, False],
    "correspondence_weight": [1.0, 0.3],
    "mask_same_class": [True, False],
    "stages": [2, 2, 1],
    "readout": ["cosine", "signed", "text", "evidence", "evidence", "sum"],
    "readout_exponent": [0.5, 1.0, 2.3],
    "query_anchor": [0.0, 0.5, 0.8],
    "token_anchor": [0.0, 0.25, 1.0],
    "responsibility": [0.0, 10.0, 2.0],
    "affinity": [0.0, 6.0, 40.0],
    "printed_sums": [False, True],
    "pooled_weight": [0.0, 0.0, 0.7],
}
"""Values that the default preset's options are drawn from."""

FAST = {"paper": (0, 1, 3, 5), "tvsl": (0, 1, 3, 5, 7, 13, 16, 20, 35, 45)}
"""Seeds that between them meet every branch."""

SLOW = range(200)


@dataclass
class Case:
    head: TVSL
    tokens: Tokens
    words: Vocabulary
    labels: Tensor
    queries: Queries

    def oracle(self) -> Oracle:
        """The equations with parameters of their own, so that gradients are not shared."""
        state = {
            name: value.detach().clone().requires_grad_()
            for name, value in self.head.named_parameters()
        }
        return Oracle(
            state,
            self.head.config,
            self.tokens.visual,
            self.tokens.audio,
            self.words.embeddings,
            self.tokens.grid,
            self.tokens.panels,
        )


def drawn(seed: int, config: TVSLConfig) -> Case:
    """Random sizes, numbers of sources, tokens, parameters and queries."""
    dice, noise = random.Random(seed), torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=noise, dtype=torch.float64)

    size, clips, classes = dice.randint(3, 12), dice.randint(1, 4), dice.randint(1, 8)
    panels = dice.choice([1, 1, 2, 3])
    grid = (dice.randint(1, 4), panels * dice.randint(1, 4))
    visual = normal(clips, grid[0] * grid[1], size)
    audio = normal(clips, dice.randint(1, 6), size)
    if dice.random() < 0.3:  # what is black or silent has no direction
        visual[0, 0] = 0
        audio[-1, 0] = 0
    tokens = Tokens(visual, audio, visual.mean(dim=1), audio.mean(dim=1), grid, panels)
    counts = torch.zeros(clips, classes, dtype=torch.int64)
    for row in counts:
        for label in dice.choices(range(classes), k=dice.randint(1, 4)):
            row[label] += 1  # some classes twice
    asked = [(dice.randrange(clips), dice.randrange(classes)) for _ in range(dice.randint(1, 7))]
    asked += asked[:1]  # in any order, some twice, some clips not at all
    queries = Queries(*torch.tensor(asked).T.contiguous())
    torch.manual_seed(seed)
    settings = {**config.model_dump(), "embedding": size}
    head = TVSL(TVSLConfig(**settings)).double()
    with torch.no_grad():
        for name, parameter in head.named_parameters():
            parameter.add_(0.3 * normal(*parameter.shape))
            if name.endswith("log_scale"):  # some beyond the clamp at 1 and at 100
                parameter.fill_(dice.uniform(-0.5, 5.0))
    labels = counts if dice.random() < 0.5 else counts.bool()
    return Case(head, tokens, vocabulary(classes, size, seed), labels, queries)


def paper(seed: int) -> Case:
    found = preset("paper")
    assert isinstance(found, TVSLConfig)
    return drawn(seed, found)


def default(seed: int) -> Case:
    """The default preset as it is, or with options drawn at random."""
    found = preset("tvsl")
    assert isinstance(found, TVSLConfig)
    if seed % 12 == 0:
        return drawn(seed, found)
    dice = random.Random(1000 + seed)
    chosen = {name: dice.choice(values) for name, values in OPTIONS.items()}
    if chosen["stages"] == 1 and not chosen["audio_conditioning"]:
        chosen["image_conditioning"] = True  # else there is nothing to learn classes by
    return drawn(seed, TVSLConfig(**{**found.model_dump(), **chosen}))


CASES = {"paper": paper, "tvsl": default}


@pytest.fixture(autouse=True)
def _thirteen_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection, "_DIGITS", 13)


def check_training(case: Case) -> None:
    """Each loss, and the gradient of their sum by each parameter."""
    oracle = case.oracle()
    found, expected = (
        case.head.losses(case.tokens, case.labels, case.words),
        oracle.losses(case.labels.bool()),
    )
    assert found.keys() == expected.keys()
    for name, loss in found.items():
        assert loss.item() == pytest.approx(expected[name].item(), rel=TOLERANCE, abs=TOLERANCE)
    total(found).backward()
    total(expected).backward()
    for name, parameter in case.head.named_parameters():
        ours, theirs = (
            torch.zeros_like(parameter) if one.grad is None else one.grad
            for one in (parameter, oracle.state[name])
        )
        large = max(1e-6, float(theirs.abs().max()))
        assert float((ours - theirs).abs().max()) < GRADIENT_TOLERANCE * large, name


def check_inference(case: Case) -> None:
    """Maps of all queries, and the scores of all classes."""
    oracle = case.oracle()
    with torch.no_grad():
        maps = case.head.spread_maps(case.tokens, case.queries, case.words)
        scores = case.head.detect(case.tokens, case.words)
        pairs = zip(case.queries.clip.tolist(), case.queries.label.tolist(), strict=True)
        expected = torch.stack([oracle.map(clip, label) for clip, label in pairs])
        each = [oracle.scores(clip) for clip in range(case.tokens.batch)]
    of_all = torch.tensor(each, dtype=torch.float64)
    torch.testing.assert_close(maps, expected, rtol=TOLERANCE, atol=TOLERANCE)
    torch.testing.assert_close(scores, of_all, rtol=TOLERANCE, atol=TOLERANCE)


def check(name: str, seed: int) -> None:
    case = CASES[name](seed)
    check_inference(case)
    check_training(case)


@pytest.mark.parametrize(
    ("name", "seed"), [(name, seed) for name, seeds in FAST.items() for seed in seeds]
)
def test_agreement(name: str, seed: int) -> None:
    check(name, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SLOW)
@pytest.mark.parametrize("name", CASES)
def test_agreement_of_many(name: str, seed: int) -> None:
    check(name, seed)
