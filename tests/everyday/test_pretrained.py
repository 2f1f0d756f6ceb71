"""The shipped weights against other people's code; rounding to 8 bits sets the tolerances."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from tests.everyday import oracles
from tests.shared_files import shared
from tvsl.everyday.encoder import EverydayEncoder, load
from tvsl.models import embedded_path, is_installed
from tvsl.vocabularies import everyday_sounds

pytestmark = pytest.mark.skipif(
    not is_installed("everyday"), reason="the embedded model 'everyday' is not here"
)


@pytest.fixture(scope="module")
def shipped() -> EverydayEncoder:
    return load(embedded_path("everyday"))


def test_boxes(shipped: EverydayEncoder) -> None:
    detector = shipped.networks.detector
    oracles.check_boxes(detector, oracles.ball(), oracles.BALL_BOXES, 0.1, 0.03)
    oracles.check_boxes(detector, oracles.waves(300), oracles.WAVES_BOXES, 0.05, 0.03)


def test_boxes_of_a_photograph(shipped: EverydayEncoder) -> None:
    path = shared("media", "images", "coco", "000000000071.jpg")
    with Image.open(path) as image:
        photo = np.asarray(image.convert("RGB").resize((300, 300), Image.Resampling.BILINEAR))
    oracles.check_boxes(shipped.networks.detector, photo, oracles.TRAIN_BOXES, 0.1, 0.03)


def test_classes_of_pictures(shipped: EverydayEncoder) -> None:
    oracles.check_classes(shipped.networks.seeing, shipped.networks.classifier, 0.35)


def test_sounds(shipped: EverydayEncoder) -> None:
    oracles.check_sound(shipped.networks.hearing, 0.03, 0.3)


def test_sentences(shipped: EverydayEncoder) -> None:
    embedded = shipped.networks.reading.embed(list(oracles.SENTENCES), shipped.tokenizer)
    oracles.check_sentences(embedded, 0.01)


def test_a_ball_is_seen_where_it_lies(shipped: EverydayEncoder) -> None:
    found = shipped.encode_frames(shipped.prepare(oracles.ball())[None])
    assert found.grid == (14, 14)
    likeness = (found.tokens[0] @ shipped.embed(["sports ball"])[0]).view(14, 14)
    y, x = np.mgrid[:14, :14] + 0.5
    far = torch.from_numpy(np.hypot(x - 150 / 300 * 14, y - 160 / 300 * 14))
    inside, outside = likeness[far < 70 / 300 * 14 - 1], likeness[far > 70 / 300 * 14 + 2]
    assert inside.min() > outside.max()


def test_a_tone_is_heard_as_one(shipped: EverydayEncoder) -> None:
    time = torch.arange(32_000) / 16_000
    sound = shipped.encode_sounds((0.3 * torch.sin(2 * torch.pi * 1000 * time))[None]).embeddings
    names = ["sine wave", "dog bark", "rain", "man speaking", "car engine"]
    assert (shipped.embed(names) @ sound[0]).argmax() == 0


def test_names_that_mean_the_same_are_close(shipped: EverydayEncoder) -> None:
    first, same, other = shipped.embed(["dog barking", "a barking puppy", "violin"])
    assert first @ same > first @ other + 0.2


def test_everyday_names_have_a_meaning_and_random_letters_none(shipped: EverydayEncoder) -> None:
    assert shipped.without_meaning(everyday_sounds()) == ()
    assert shipped.without_meaning(["xqzzt", "playing violin", "wqjrtk"]) == ("xqzzt", "wqjrtk")


def test_names_of_one_meaning_are_one_group(shipped: EverydayEncoder) -> None:
    names = shipped.vocabulary(everyday_sounds())
    groups = names.groups(shipped.same_meaning)
    row = dict(zip(names.names, groups.tolist(), strict=True))
    assert row["man speaking"] == row["woman speaking"]
    assert row["car horn honking"] == row["truck horn honking"]
    apart = ("dog barking", "cat meowing", "man speaking", "man singing", "playing violin")
    assert len({row[name] for name in apart}) == len(apart)
    assert len(names) - 15 <= groups.unique().numel() < len(names)
