from __future__ import annotations

import math

import pytest
import torch

from tvsl.everyday.detector import SSDMobileNetV2, anchor_shapes
from tvsl.everyday.model_file import EverydayNetworks


@pytest.fixture(scope="module")
def network(networks: EverydayNetworks) -> SSDMobileNetV2:
    return networks.detector


def test_first_anchors_by_hand() -> None:
    root = math.sqrt(2)
    expected = [(0.1, 0.1), (0.2 * root, 0.2 / root), (0.2 / root, 0.2 * root)]
    torch.testing.assert_close(anchor_shapes(0), torch.tensor(expected))


@pytest.mark.parametrize(
    ("level", "scale", "following"),
    [(1, 0.35, 0.5), (2, 0.5, 0.65), (3, 0.65, 0.8), (4, 0.8, 0.95), (5, 0.95, 1.0)],
)
def test_further_anchors_by_hand(level: int, scale: float, following: float) -> None:
    two, three = math.sqrt(2), math.sqrt(3)
    between = math.sqrt(scale * following)
    expected = [
        (scale, scale),
        (scale * two, scale / two),
        (scale / two, scale * two),
        (scale * three, scale / three),
        (scale / three, scale * three),
        (between, between),
    ]
    torch.testing.assert_close(anchor_shapes(level), torch.tensor(expected))


class FixedOffsets(torch.nn.Module):
    """In place of a head: the same offsets for every anchor."""

    def __init__(self, offsets: tuple[float, ...], anchors: int) -> None:
        super().__init__()
        self.offsets = torch.tensor(offsets * anchors)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        rows, columns = features.shape[2:]
        return self.offsets[None, :, None, None].expand(len(features), -1, rows, columns)


def boxes_of(network: SSDMobileNetV2, size: tuple[int, int], *offsets: float) -> torch.Tensor:
    own = network.box_heads
    network.box_heads = torch.nn.ModuleList(
        FixedOffsets(offsets, len(anchor_shapes(level))) for level in range(6)
    )
    try:
        with torch.no_grad():
            boxes: torch.Tensor = network(torch.zeros(1, 3, *size)).boxes[0]
    finally:
        network.box_heads = own
    return boxes


def test_zero_offsets_give_the_anchors(network: SSDMobileNetV2) -> None:
    boxes = boxes_of(network, (300, 300), 0, 0, 0, 0)
    expected = []
    for level, side in enumerate((19, 10, 5, 3, 2, 1)):
        for row in range(side):
            for column in range(side):
                x, y = (column + 0.5) / side * 300, (row + 0.5) / side * 300
                for width, height in (anchor_shapes(level) * 150).tolist():
                    expected.append((x - width, y - height, x + width, y + height))
    assert len(expected) == 1917
    torch.testing.assert_close(boxes, torch.tensor(expected), atol=1e-3, rtol=1e-5)


def test_offsets_move_and_stretch_an_anchor(network: SSDMobileNetV2) -> None:
    plain = boxes_of(network, (300, 300), 0, 0, 0, 0)
    # y by half a height, x by a fourth of a width; twice as high, half as wide
    moved = boxes_of(network, (300, 300), 5.0, 2.5, 5 * math.log(2), -5 * math.log(2))
    size = plain[:, 2:] - plain[:, :2]
    centre = (plain[:, 2:] + plain[:, :2]) / 2 + size * torch.tensor([0.25, 0.5])
    half = size * torch.tensor([0.5, 2.0]) / 2
    expected = torch.cat([centre - half, centre + half], dim=1)
    torch.testing.assert_close(moved, expected, atol=1e-3, rtol=1e-4)


def test_anchors_of_a_wide_picture_keep_their_size_in_pixels(network: SSDMobileNetV2) -> None:
    boxes = boxes_of(network, (300, 450), 0, 0, 0, 0)
    first = boxes[: 19 * 29 * 3].view(19, 29, 3, 4)
    size = first[..., 2:] - first[..., :2]
    expected = (anchor_shapes(0) * 300).expand(19, 29, 3, 2)
    torch.testing.assert_close(size, expected, atol=1e-3, rtol=1e-4)
    centre = (first[2, 28, 0, :2] + first[2, 28, 0, 2:]) / 2
    torch.testing.assert_close(centre, torch.tensor([450 * 28.5 / 29, 300 * 2.5 / 19]))


def test_number_of_boxes_and_classes(network: SSDMobileNetV2) -> None:
    with torch.no_grad():
        found = network(torch.zeros(2, 3, 300, 300))
    assert found.boxes.shape == (2, 1917, 4)
    assert found.logits.shape == (2, 1917, 91)
