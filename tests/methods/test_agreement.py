"""The twelve other methods against `oracle.py`, which writes their formulas out by loops.

Their official code (of MarginNCE and Alignment a second program) has the golden numbers that each
method's own tests meet, for one frame of 7 x 7 cells and one or two classes. Here are the shapes
that those lack: other grids, panels, several classes in a clip, several pieces of sound, one clip
alone, tokens that are scaled. Float64 on both sides: values agree to 1e-10, gradients to 1e-7 of
the largest entry of their tensor, or of 1e-4 (some are 0 but for rounding).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.methods import oracle
from tests.methods.tvsl.inputs import total, vocabulary
from tvsl.methods import dsol, mix_and_localize, ots
from tvsl.methods.alignment import Alignment, AlignmentConfig
from tvsl.methods.audioclip import AudioCLIPFinetuned, FinetunedConfig
from tvsl.methods.avgn import AVGN, AVGNConfig
from tvsl.methods.base import Method
from tvsl.methods.coarse_to_fine import CoarseToFine, CoarseToFineConfig
from tvsl.methods.dsol import DSOL, DSOLConfig
from tvsl.methods.ez_vsl import EZVSL, EZVSLConfig
from tvsl.methods.fnac import FNAC, FNACConfig
from tvsl.methods.lvs import LVS, LVSConfig
from tvsl.methods.margin_nce import MarginNCE, MarginNCEConfig
from tvsl.methods.mix_and_localize import MixAndLocalize, MixAndLocalizeConfig
from tvsl.methods.ots import OTS, OTSConfig
from tvsl.methods.wav2clip import Wav2CLIP, Wav2CLIPConfig
from tvsl.tokens import Queries, Tokens, Vocabulary

TOLERANCE, GRADIENT_TOLERANCE = 1e-10, 1e-7
FAST, SLOW = range(2), range(2, 60)
"""The first take each hyperparameter's first and second choice, the others any."""

METHODS: dict[str, tuple[type[Method], Any, type[oracle.Naive], dict[str, list[Any]]]] = {
    "ots": (OTS, OTSConfig, oracle.OTS, {"dimension": [4], "scale_tokens": [True, False]}),
    "lvs": (
        LVS,
        LVSConfig,
        oracle.LVS,
        {"positive_threshold": [0.65, 0.2], "negative_threshold": [0.4, 0.0]},
    ),
    "ez-vsl": (EZVSL, EZVSLConfig, oracle.EZVSL, {"dimension": [5], "temperature": [0.03, 0.2]}),
    "margin-nce": (
        MarginNCE,
        MarginNCEConfig,
        oracle.MarginNCE,
        {"dimension": [5], "margin": [-0.2, 0.1], "temperature": [0.1, 0.03]},
    ),
    "fnac": (
        FNAC,
        FNACConfig,
        oracle.FNAC,
        {"dimension": [5], "temperature": [0.2, 0.03], "foreground_threshold": [0.6, 0.3]},
    ),
    "alignment": (
        Alignment,
        AlignmentConfig,
        oracle.Alignment,
        {"dimension": [4], "positive_threshold": [0.65, 0.1]},
    ),
    "audioclip-finetuned": (
        AudioCLIPFinetuned,
        FinetunedConfig,
        oracle.AudioCLIPFinetuned,
        {"text": [True, False]},
    ),
    "wav2clip": (
        Wav2CLIP,
        Wav2CLIPConfig,
        oracle.Wav2CLIP,
        {"hidden": [6], "variant": ["clip_loss_x", "clip_loss_i", "clip_loss"]},
    ),
    "mix-and-localize": (
        MixAndLocalize,
        MixAndLocalizeConfig,
        oracle.MixAndLocalize,
        {"dimension": [4], "nodes": [3, 2], "temperature": [0.07, 0.5]},
    ),
    "dsol": (DSOL, DSOLConfig, oracle.DSOL, {"dimension": [4], "scale_tokens": [True, False]}),
    "coarse-to-fine": (
        CoarseToFine,
        CoarseToFineConfig,
        oracle.CoarseToFine,
        {"dimension": [4], "hidden": [6], "probability": [0.6, 0.3]},
    ),
    "avgn": (
        AVGN,
        AVGNConfig,
        oracle.AVGN,
        {
            "dimension": [8, 16],
            "depth": [1, 2],
            "group_grid": [7, 2],
            "normalise_groups": [True, False],
            "sum_presences": [True, False],
            "temperature": [0.3],
        },
    ),
}


@dataclass
class Case:
    head: Method
    naive: oracle.Naive
    tokens: Tokens
    words: Vocabulary
    labels: Tensor
    queries: Queries


def drawn(name: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> Case:
    """Random sizes, tokens, labels, parameters and hyperparameters."""
    dice, noise = random.Random(f"{name} {seed}"), torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=noise, dtype=torch.float64)

    method, config, naive, choices = METHODS[name]
    size, clips, classes = dice.randint(4, 9), dice.randint(1, 4), dice.randint(2, 5)
    panels = dice.choice([1, 2, 3]) if seed else 2
    grid = (dice.randint(1, 4), panels * dice.randint(1, 4))
    tokens = Tokens(
        normal(clips, grid[0] * grid[1], size),
        normal(clips, dice.randint(1, 5), size),
        normal(clips, size),
        normal(clips, size),
        grid,
        panels,
    )
    words = vocabulary(classes, size, seed)
    labels = torch.zeros(clips, classes, dtype=torch.bool)
    for row in labels:
        row[dice.sample(range(classes), dice.randint(1, min(3, classes)))] = True
    hyperparameters = {
        key: values[seed % len(values)] if seed in FAST else dice.choice(values)
        for key, values in choices.items()
    }
    if "classes" in config.model_fields:
        hyperparameters["classes"] = words.names
    torch.manual_seed(seed)
    head = method.from_config(config(embedding=size, **hyperparameters)).double().eval()
    with torch.no_grad():
        for key, value in head.state_dict().items():
            if key == "object_counts":
                value.uniform_(0.5, 2.0)
            else:
                value.add_(0.3 * normal(*value.shape))
    partners = torch.tensor([(i + 1) % clips for i in range(clips)] if clips > 1 else [])
    located = torch.tensor([dice.choice(row.nonzero()[:, 0].tolist()) for row in labels])
    _without_chance(monkeypatch, partners.long(), located)
    state = {
        key: value.detach().clone().requires_grad_(value.requires_grad)
        for key, value in [*head.named_parameters(), *head.named_buffers()]
    }
    loops = naive(state, head.config, tokens, labels, words.embeddings, partners.long().tolist())
    head.progress = (0.9, 0.2)[seed % 2]  # the second half is stage 2; FNAC is warm in either
    for other in (oracle.DSOL, oracle.CoarseToFine):
        if isinstance(loops, other):
            loops.stage = 1 if head.progress < 0.5 else 2
    if isinstance(loops, oracle.AVGN):
        loops.located = located.tolist()
    asked = [[dice.randrange(classes) for _ in range(dice.randint(0, 3))] for _ in range(clips)]
    return Case(head, loops, tokens, words, labels, Queries.from_lists(asked))


def _without_chance(monkeypatch: pytest.MonkeyPatch, partners: Tensor, located: Tensor) -> None:
    def halves(audio: Tensor) -> tuple[Tensor, Tensor]:
        half = max(1, audio.shape[1] // 2)
        return audio[:, :half].mean(dim=1), audio[:, -half:].mean(dim=1)

    monkeypatch.setattr(mix_and_localize, "random_halves", halves)
    for module in (ots, dsol):
        monkeypatch.setattr(module, "random_partners", lambda batch, device: partners)
    monkeypatch.setattr(torch, "multinomial", lambda chances, count: located[:, None])


def check(name: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    case = drawn(name, seed, monkeypatch)
    with torch.no_grad():
        check_inference(case)
    found = case.head.losses(case.tokens, case.labels, case.words)
    expected = case.naive.losses()
    assert found.keys() == expected.keys()
    for key, loss in found.items():
        assert loss.item() == pytest.approx(expected[key].item(), rel=TOLERANCE, abs=TOLERANCE), key
    total(found).backward()
    total(expected).backward()
    for key, parameter in case.head.named_parameters():
        ours, theirs = (
            torch.zeros_like(parameter) if one.grad is None else one.grad
            for one in (parameter, case.naive.state[key])
        )
        large = max(1e-4, float(theirs.abs().max()))
        assert float((ours - theirs).abs().max()) < GRADIENT_TOLERANCE * large, key


def check_inference(case: Case) -> None:
    asked = list(zip(case.queries.clip.tolist(), case.queries.label.tolist(), strict=True))
    if isinstance(case.naive, oracle.MixAndLocalize):
        found = case.head.unlabelled_maps(case.tokens).flatten(0, 1)
        maps = [one for clip in case.naive.batch for one in case.naive.unlabelled(clip)]
    else:
        found = case.head.maps(case.tokens, case.queries, case.words)
        several = [len({label for other, label in asked if other == clip}) for clip, _ in asked]
        maps = [
            case.naive.map(clip, label, alone=count == 1)  # type: ignore[attr-defined]
            for (clip, label), count in zip(asked, several, strict=True)
        ]
    for one, other in zip(found, maps, strict=True):
        expected = torch.stack(other).view(case.tokens.grid)
        torch.testing.assert_close(one, expected, rtol=TOLERANCE, atol=TOLERANCE)
    scores = case.head.detect(case.tokens, case.words)
    assert (scores is None) == (not hasattr(case.naive, "scores"))
    if scores is not None:
        each = [torch.stack(case.naive.scores(clip)) for clip in case.naive.batch]  # type: ignore[attr-defined]
        torch.testing.assert_close(scores, torch.stack(each), rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("seed", FAST)
@pytest.mark.parametrize("name", METHODS)
def test_agreement(name: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    check(name, seed, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SLOW)
@pytest.mark.parametrize("name", METHODS)
def test_agreement_of_many(name: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    check(name, seed, monkeypatch)
