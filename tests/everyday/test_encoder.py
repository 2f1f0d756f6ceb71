from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.everyday.made_model import SPACE
from tests.small_model import scene
from tvsl.encoder import Encoder
from tvsl.errors import ShapeError, VocabularyError
from tvsl.everyday.encoder import CELL, CELLS, EverydayEncoder, load, paint
from tvsl.everyday.space import Space
from tvsl.utils import kernels

SIDE = CELLS * CELL


def sounds(clips: int = 1, samples: int = 16_000) -> torch.Tensor:
    return torch.rand(clips, samples, generator=torch.Generator().manual_seed(1)) - 0.5


def small_frames(count: int) -> torch.Tensor:
    """Frames of 4 x 4 cells."""
    return torch.rand(count, 3, 96, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1


def painted(
    boxes: NDArray[np.float64], scores: NDArray[np.float64], grid: tuple[int, int]
) -> NDArray[np.float64]:
    """``paint``, cell by cell and box by box."""
    result = np.zeros((len(boxes), grid[0] * grid[1], scores.shape[2]))
    for b, row, column, box in np.ndindex(len(boxes), *grid, boxes.shape[1]):
        x1, y1, x2, y2 = boxes[b, box]
        across = max(0.0, min(x2, column + 1) - max(x1, column))
        down = max(0.0, min(y2, row + 1) - max(y1, row))
        cell = result[b, row * grid[1] + column]
        np.maximum(cell, across * down * scores[b, box], out=cell)
    return result


@settings(max_examples=50)
@given(
    seed=st.integers(0, 10_000),
    grid=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    count=st.integers(0, 4),
)
def test_painting_against_loops(seed: int, grid: tuple[int, int], count: int) -> None:
    generator = np.random.default_rng(seed)
    boxes = generator.uniform(-2, 7, (2, count, 4))  # some reach out, some are inside out
    scores = generator.uniform(0, 1, (2, count, 3))
    found = paint(torch.from_numpy(boxes), torch.from_numpy(scores), grid)
    np.testing.assert_allclose(found.numpy(), painted(boxes, scores, grid), atol=1e-12)


def test_painting_by_hand() -> None:
    boxes = torch.tensor([[[0.5, 0.0, 2.0, 1.0], [0.0, 0.0, 1.0, 0.5]]])
    scores = torch.tensor([[[0.8, 0.0], [1.0, 0.2]]])
    found = paint(boxes, scores, (1, 3))[0]
    torch.testing.assert_close(found, torch.tensor([[0.5, 0.1], [0.8, 0.0], [0.0, 0.0]]))


def test_it_is_an_encoder(encoder: EverydayEncoder) -> None:
    as_encoder: Encoder = encoder
    assert as_encoder.sample_rate == 16_000
    assert as_encoder.embedding == SPACE.embedding == 18
    assert as_encoder.device == torch.device("cpu")
    assert not any(p.requires_grad for p in encoder.networks.parameters())
    assert not encoder.networks.training


@pytest.mark.parametrize(
    ("size", "square", "expected"),
    [
        ((60, 80), False, (SIDE, 19 * CELL)),  # 14 * 80 / 60 = 18.7 cells
        ((80, 60), False, (19 * CELL, SIDE)),
        ((60, 80), True, (SIDE, SIDE)),
        ((500, 500), False, (SIDE, SIDE)),
        ((1, 1), False, (SIDE, SIDE)),
        ((10, 400), False, (SIDE, 4 * SIDE)),  # no more than four times as wide as high
    ],
)
def test_pictures_become_whole_cells(
    encoder: EverydayEncoder, size: tuple[int, int], square: bool, expected: tuple[int, int]
) -> None:
    frame = encoder.prepare(scene(*size), square)
    assert frame.shape == (3, *expected)
    assert frame.dtype == torch.float32
    assert frame.abs().max() <= 1


def test_pixels_from_minus_one_to_one(encoder: EverydayEncoder) -> None:
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    picture[..., 0], picture[..., 1] = 255, 51
    frame = encoder.prepare(picture)
    torch.testing.assert_close(frame[:, 5, 7], torch.tensor([1.0, -0.6, -1.0]))


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((1, 8, 8, 3), np.uint8),
    ],
)
def test_other_pictures_are_refused(encoder: EverydayEncoder, picture: NDArray[np.uint8]) -> None:
    with pytest.raises(ShapeError):
        encoder.prepare(picture)


def test_tokens_of_a_clip(encoder: EverydayEncoder) -> None:
    frames = torch.stack([encoder.prepare(scene(60, 80, seed)) for seed in range(2)])
    found = encoder.encode(frames, sounds(2, 20_000))
    assert found.grid == (14, 19)
    assert found.visual.shape == (2, 14 * 19, 18)
    assert found.audio.shape == (2, 2, 18)
    torch.testing.assert_close(found.image, found.visual.mean(dim=1))
    torch.testing.assert_close(found.sound, found.audio.mean(dim=1))
    assert torch.isfinite(found.visual).all()
    assert not found.visual.requires_grad
    assert not found.visual.is_inference()  # heads are trained on them


def test_pictures_of_a_batch_do_not_meet(encoder: EverydayEncoder) -> None:
    frames = small_frames(3)
    together = encoder.encode_frames(frames).tokens
    for number in range(3):
        alone = encoder.encode_frames(frames[number : number + 1]).tokens[0]
        torch.testing.assert_close(together[number], alone, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("size", [(96, 96), (336, 504), (360, 336)])
def test_a_graph_gives_the_same_tokens(
    size: tuple[int, int], encoder: EverydayEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(2)) * 2 - 1
    waves = sounds(2, 16_000 + size[0] * 100)
    seen, heard = encoder.encode_frames(frames), encoder.encode_sounds(waves)
    monkeypatch.setattr(kernels, "is_traced", lambda: True)
    traced = encoder.encode_frames(frames), encoder.encode_sounds(waves)
    for found, expected in zip((*traced[0][:2], *traced[1]), (*seen[:2], *heard), strict=True):
        within = 1e-5 * max(1.0, float(expected.abs().max()))
        torch.testing.assert_close(found, expected, atol=within, rtol=0)


def test_panels_are_encoded_one_by_one_and_joined(encoder: EverydayEncoder) -> None:
    frames = small_frames(2)
    found = encoder.encode(frames[None], sounds())
    assert found.panels == 2
    assert found.grid == (4, 8)
    grid = found.visual.view(4, 8, 18)
    for number in range(2):
        alone = encoder.encode_frames(frames[number : number + 1]).tokens.view(4, 4, 18)
        part = grid[:, 4 * number : 4 * (number + 1)]
        torch.testing.assert_close(part, alone, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("shape", [(3, 48, 48), (1, 1, 48, 48), (1, 3, 47, 48), (1, 3, 48, 50)])
def test_other_frames_are_refused(encoder: EverydayEncoder, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError):
        encoder.encode_frames(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(16_000,), (1, 1, 16_000), (1, 0)])
def test_other_waveforms_are_refused(encoder: EverydayEncoder, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError):
        encoder.encode_sounds(torch.zeros(shape))


def test_windows_on_the_grid_are_the_same_in_a_stream(encoder: EverydayEncoder) -> None:
    step, overlap, margin = encoder.sound_grid
    waveform = sounds(samples=7 * step + overlap)
    columns = encoder.encode_columns(waveform)
    assert columns.shape[-1] == encoder.sound_grid.columns(waveform.shape[1]) == 7
    window = waveform[:, 2 * step : 5 * step + overlap]
    assert margin == 0
    found, expected = encoder.pool_columns(columns[..., 2:5]), encoder.encode_sounds(window)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("frames", "waveforms"), [((2, 3, 48, 48), (1, 9)), ((3, 48, 48), (3, 9))])
def test_other_clips_are_refused(
    encoder: EverydayEncoder, frames: tuple[int, ...], waveforms: tuple[int, ...]
) -> None:
    with pytest.raises(ShapeError):
        encoder.encode(torch.zeros(frames), torch.zeros(waveforms))


def test_names_are_unit_vectors(encoder: EverydayEncoder) -> None:
    found = encoder.embed(["dog", "car horn", "church bell"])
    assert found.shape == (3, 18)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(3))
    assert not found[:, 11:].any()  # names know nothing of the networks' own features


@pytest.mark.parametrize("name", ["собака", "dog 犬", "♪"])
def test_letters_that_cannot_be_read(encoder: EverydayEncoder, name: str) -> None:
    with pytest.raises(VocabularyError) as caught:
        encoder.embed(["dog", name])
    assert name in str(caught.value)
    with pytest.raises(VocabularyError):  # it does not come from the cache the second time
        encoder.embed([name])


def test_accents_are_read_as_plain_letters(encoder: EverydayEncoder) -> None:
    assert torch.equal(encoder.embed(["Café"]), encoder.embed(["cafe"]))


def fresh_like(encoder: EverydayEncoder) -> EverydayEncoder:
    """One with the same networks, which has read nothing yet."""
    return EverydayEncoder(encoder.networks, encoder.tokenizer, "")


def test_spellings_share_one_embedding(encoder: EverydayEncoder) -> None:
    fresh = fresh_like(encoder)
    with patch.object(fresh.networks.reading, "embed", wraps=fresh.networks.reading.embed) as used:
        first = fresh.embed(["Dog  BARK", "car"])
        second = fresh.embed(["dog bark", "horn", "DOG bark"])
    assert torch.equal(second[0], first[0])
    assert torch.equal(second[2], first[0])
    texts = [text for call in used.call_args_list for text in call.args[0]]
    assert texts == ["dog bark", "car", "horn"]
    torch.testing.assert_close(fresh_like(encoder).embed(["DOG bark"])[0], first[0])


def test_the_cache_has_an_end(encoder: EverydayEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tvsl.everyday.encoder._MOST_TEXTS", 2)
    fresh = fresh_like(encoder)
    names = ["dog", "car", "horn", "bell"]
    first = fresh.embed(names)
    assert torch.equal(fresh.embed(["bark", *names])[1:], first)
    assert len(fresh._texts) <= 3 + len(names)


def test_vocabularies(encoder: EverydayEncoder) -> None:
    found = encoder.vocabulary(["Dog", "car horn"])
    assert found.names == ("Dog", "car horn")
    assert torch.equal(found.embeddings, encoder.embed(["dog", "car horn"]))
    for names in ([], ["dog", "DOG"], [""]):
        with pytest.raises(VocabularyError):
            encoder.vocabulary(names)
    with pytest.raises(VocabularyError):
        encoder.embed(["dog", " "])


def test_another_device(model: Path) -> None:
    moved = load(model)
    frames, names = torch.zeros(1, 3, 48, 72), ["dog"]
    moved.encode_frames(frames)
    moved.embed(names)
    assert moved.to("meta") is moved
    assert moved.device == torch.device("meta")
    assert moved.networks.hearing.mel.device == torch.device("meta")
    assert not moved._texts
    assert not moved.networks.space._described


def test_a_strong_box_is_painted_where_it_lies(encoder: EverydayEncoder) -> None:
    grid = (14, 21)
    boxes = torch.zeros(1, 70, 4)
    boxes[0, 0] = torch.tensor([150.0, 75.0, 300.0, 225.0])  # of 450 x 300 pixels
    logits = torch.full((1, 70, 91), -5.0)  # below the weakest score that counts
    logits[0, 0, 17] = 2.0
    logits[0, :, 0] = 9.0  # the background does not count
    with patch.object(encoder.networks.detector, "forward", return_value=Boxes(boxes, logits)):
        kinds = encoder._kinds(torch.zeros(1, 3, 14 * 24, 21 * 24), grid)[0]
    expected = painted(
        np.array([[[7.0, 3.5, 14.0, 10.5]]]),
        torch.tensor([2.0]).sigmoid().double().numpy()[None, None],
        grid,
    )[0, :, 0]
    np.testing.assert_allclose(kinds[:, 16].numpy(), expected, atol=1e-5)


class Boxes:
    def __init__(self, boxes: torch.Tensor, logits: torch.Tensor) -> None:
        self.boxes, self.logits = boxes, logits


@settings(max_examples=10)
@given(size=st.tuples(st.integers(1, 600), st.integers(1, 600)))
def test_every_size_fits(encoder: EverydayEncoder, size: tuple[int, int]) -> None:
    height, width = encoder.prepare(np.zeros((*size, 3), np.uint8)).shape[1:]
    assert height % CELL == width % CELL == 0
    assert min(height, width) == SIDE
    assert max(height, width) <= 4 * SIDE


def test_only_words_that_are_spelled_out_can_lack_a_meaning(encoder: EverydayEncoder) -> None:
    """Of the made-up word pieces only letters and five words are known."""
    names = ["dog", "xqz", "dog xqz", "car horn", "xqz  zzt", "b"]
    with patch.object(Space, "familiarity", lambda _, rows: torch.full((len(rows),), 0.1)):
        assert encoder.without_meaning(names) == ("xqz", "xqz  zzt")
    with patch.object(Space, "familiarity", lambda _, rows: torch.full((len(rows),), 0.9)):
        assert encoder.without_meaning(names) == ()
    assert encoder.without_meaning([]) == ()
