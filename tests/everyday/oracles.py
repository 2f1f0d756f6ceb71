"""Outputs of other people's code for the published weights, and the inputs they belong to.

The detector ran in OpenCV's reader of TensorFlow graphs, the image network in the package
efficientnet_lite_pytorch, the sentence encoder in transformers, and the audio network in TensorFlow
2.16, as the SavedModel that is published.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tvsl.everyday.detector import SSDMobileNetV2
from tvsl.everyday.hearing import YAMNet
from tvsl.everyday.seeing import EfficientNetLite0


def ball() -> NDArray[np.uint8]:
    """An orange disc before a lawn and a sky, (300, 300, 3)."""
    y, x = np.mgrid[:300, :300].astype(float)
    picture = np.stack([90 + 0.2 * y, 140 + 0.2 * y, np.full_like(y, 200)], axis=-1)
    picture[190:] = 70, 120, 60
    disc = np.hypot(x - 150, y - 160) < 70
    light = 255 - 1.5 * np.hypot(x - 125, y - 130)
    picture[disc] = light[disc][:, None] * [1, 0.55, 0.1]
    return picture.clip(0, 255).round().astype(np.uint8)


def waves(side: int) -> NDArray[np.uint8]:
    """Coloured waves, (side, side, 3)."""
    y, x = np.mgrid[:side, :side]
    red = 127.5 * (1 + np.sin(x / 17.0) * np.cos(y / 23.0))
    green = 127.5 * (1 + np.sin((x + y) / 31.0))
    blue = 127.5 * (1 + np.cos(np.hypot(x - side / 2, y - side / 3) / 19.0))
    return np.stack([red, green, blue], axis=-1).round().astype(np.uint8)


def chirp() -> NDArray[np.float32]:
    """A rising, throbbing tone above a steady one, 1.5 s at 16 kHz."""
    t = np.arange(24_000) / 16_000
    rising = np.sin(2 * np.pi * (300 * t + 400 * t * t)) * (0.5 + 0.5 * np.sin(2 * np.pi * 4 * t))
    return (0.3 * rising + 0.1 * np.sin(2 * np.pi * 2500 * t)).astype(np.float32)


BALL_BOXES = (
    (37, 0.91544, (0.27294, 0.29481, 0.73014, 0.78152)),  # sports ball
    (38, 0.60755, (0.26859, 0.30243, 0.73211, 0.78654)),  # kite
    (74, 0.12655, (0.27108, 0.30116, 0.73471, 0.76685)),  # mouse
)
"""Best box of each kind: COCO's number, its score, x1, y1, x2, y2 as shares of the picture."""
WAVES_BOXES = ((3, 0.20477, (0.04606, 0.01670, 0.98307, 0.97697)),)
TRAIN_BOXES = (
    (7, 0.94872, (0.08350, 0.42941, 0.82785, 0.72266)),  # train
    (3, 0.54470, (0.80947, 0.51287, 0.83775, 0.53086)),  # car
)
"""The same of a photograph of COCO, number 71, squeezed to 300 x 300."""

WAVES_LOGITS = {641: 7.07282, 885: 6.66705, 782: 6.18851, 747: 5.57582, 714: 5.53241}
BALL_LOGITS = {417: 7.46130, 722: 7.05267, 727: 5.77178, 522: 5.21544, 807: 4.39576}
"""The highest of ImageNet's classes, of ``waves(224)`` and of the first 288 x 288 of ``ball``."""

CHIRP_SCORES = {
    153: (0.24111, 0.14034, 0.01161),
    495: (0.13727, 0.23996, 0.00423),  # sine wave
    498: (0.12174, 0.09928, 0.24417),
    147: (0.08731, 0.06619, 0.00512),
    382: (0.04915, 0.08115, 0.23034),
}
CHIRP_EMBEDDINGS = {
    326: (4.0750, 2.8447, 1.1875),
    389: (2.7144, 2.4948, 2.7947),
    909: (0.7082, 2.9799, 4.1993),
    967: (2.8861, 3.7445, 1.2223),
    572: (2.6810, 3.8436, 0.2727),
}
"""Classes and numbers of the embedding in the three patches."""

SENTENCES = {
    "a dog barks": (0.043432, -0.037521, 0.050417, 0.093430, 0.023584),
    "acoustic guitar": (-0.019196, 0.008683, 0.013440, -0.021195, -0.145514),
    "The siren of a fire engine, far away": (0.021518, 0.141355, -0.029270, 0.026468, 0.084455),
}
"""The first five numbers of each embedding."""
COSINES = (0.165036, 0.252901, 0.135169)
"""Of the first sentence with the second and the third, and of these two."""


def pixels(picture: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float()


@torch.no_grad()
def check_boxes(
    network: SSDMobileNetV2,
    picture: NDArray[np.uint8],
    expected: tuple[tuple[int, float, tuple[float, ...]], ...],
    score_error: float,
    box_error: float,
) -> None:
    found = network(pixels(picture) / 127.5 - 1)
    scores, boxes = found.logits[0].sigmoid(), found.boxes[0] / 300
    strongest = scores[:, 1:].amax(dim=0).argmax().item() + 1
    assert strongest == expected[0][0]
    for kind, score, box in expected:
        best, place = scores[:, kind].max(dim=0)
        assert abs(best.item() - score) <= score_error, (kind, best.item())
        np.testing.assert_allclose(boxes[place].numpy(), box, atol=box_error)


@torch.no_grad()
def check_classes(network: EfficientNetLite0, classifier: nn.Linear, error: float) -> None:
    for picture, expected in ((waves(224), WAVES_LOGITS), (ball()[:288, :288], BALL_LOGITS)):
        features = network((pixels(picture) - 127) / 128).last
        logits = classifier(features.mean(dim=(2, 3)))[0]
        assert logits.argmax().item() == next(iter(expected))
        np.testing.assert_allclose(logits[list(expected)], list(expected.values()), atol=error)


@torch.no_grad()
def check_sound(network: YAMNet, score_error: float, embedding_error: float) -> None:
    embeddings, logits = network(torch.from_numpy(chirp())[None])
    scores = logits[0].sigmoid()
    assert scores.argmax(dim=-1).tolist() == [153, 495, 498]
    np.testing.assert_allclose(
        scores[:, list(CHIRP_SCORES)].T, list(CHIRP_SCORES.values()), atol=score_error
    )
    np.testing.assert_allclose(
        embeddings[0][:, list(CHIRP_EMBEDDINGS)].T,
        list(CHIRP_EMBEDDINGS.values()),
        atol=embedding_error,
    )


def check_sentences(embeddings: Tensor, error: float) -> None:
    np.testing.assert_allclose(embeddings[:, :5], list(SENTENCES.values()), atol=error)
    cosines = embeddings @ embeddings.T
    np.testing.assert_allclose(cosines[[0, 0, 1], [1, 2, 2]], COSINES, atol=error)
