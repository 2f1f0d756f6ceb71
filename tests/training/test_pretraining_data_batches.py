from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from tvsl.synthetic.vocabulary import SHAPES, SIZE_WORDS, SURFACES
from tvsl.synthetic.world import World
from tvsl.training.pretraining_data import (
    MIXTURE_SHARES,
    MOST_LEAD,
    ClipArrays,
    PretrainingBatch,
    PretrainingBatches,
    _augmented,
    caption_text,
    make_clips,
)

WORLD = World("train", off_screen=0.0, seed=2)
KEPT = make_clips(WORLD, range(40))


def fake_clips(count: int, seed: int = 0, classes: int = 18) -> ClipArrays:
    """Many clips of no weight: two to three objects, eight samples of sound, small pictures."""
    rng = np.random.default_rng(seed)
    objects = np.stack([rng.integers(size, size=(count, 3)) for size in (6, 6, 3)], axis=-1)
    objects[:, 0, 0], objects[:, 0, 1] = np.divmod(rng.integers(classes, size=count), 6)
    objects[rng.random(count) < 0.5, 2] = -1
    return ClipArrays(
        rng.integers(256, size=(count, 16, 16, 3), dtype=np.uint8),
        rng.integers(-8_000, 8_000, size=(count, 8), dtype=np.int16),
        objects.astype(np.int8),
        np.zeros((count, 4), dtype=np.int16),
    )


def same(first: PretrainingBatch, second: PretrainingBatch) -> bool:
    return all(torch.equal(value, vars(second)[name]) for name, value in vars(first).items())


def class_of(thing: torch.Tensor) -> tuple[int, int]:
    return int(thing[0]), int(thing[1])


@pytest.mark.parametrize(
    ("caption", "text"),
    [
        ((4, 0, 0), "small striped disc"),
        ((0, 3, -1), "red star"),
        ((5, -1, 2), "large dotted"),
        ((-1, 5, 1), "medium cross"),
        ((-1, 4, -1), "ring"),
        ((3, -1, -1), "yellow"),
    ],
)
def test_captions_are_words_of_the_world(caption: tuple[int, int, int], text: str) -> None:
    assert caption_text(caption) == text
    assert set(text.split()) <= {*SURFACES, *SHAPES, *SIZE_WORDS}
    assert caption_text(caption, 5) == f"a an the and a {text}"


def test_some_steps_have_captions_behind_many_words() -> None:
    made = PretrainingBatches(fake_clips(200), 8, batch=16, classes=4)
    for step in range(8):
        leads = made.make(step).leads
        assert leads.shape == (32,)
        assert int(leads.min()) >= 0
        assert int(leads.max()) > 16 if step in (0, 4) else int(leads.max()) == 1
        assert int(leads.max()) <= MOST_LEAD


@pytest.mark.parametrize("clips", [WORLD, KEPT], ids=["new", "kept"])
def test_a_batch_is_a_function_of_seed_and_step(clips: World | ClipArrays) -> None:
    batches = PretrainingBatches(clips, 9, batch=6, classes=3, seed=4)
    batch = batches.make(5)
    again = PretrainingBatches(clips, 7, batch=6, classes=3, seed=4, start=5)
    assert same(next(iter(again)), batch)
    assert same(batches.make(5), batch)
    assert not torch.equal(batches.make(6).frames, batch.frames)
    other = PretrainingBatches(clips, 9, batch=6, classes=3, seed=5).make(5)
    assert not torch.equal(other.frames, batch.frames)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_make_no_difference(workers: int) -> None:
    batches = PretrainingBatches(fake_clips(50), 8, batch=6, classes=3, seed=1, start=3)
    alone = list(batches)
    loaded = list(DataLoader(batches, batch_size=None, num_workers=workers))
    assert len(alone) == len(loaded) == len(batches) == 5
    assert all(same(one, other) for one, other in zip(alone, loaded, strict=True))


def test_a_run_that_is_done_has_no_batch_left() -> None:
    batches = PretrainingBatches(KEPT, 5, batch=6, start=7)
    assert len(batches) == len(list(batches)) == 0


def test_new_clips_are_of_any_class() -> None:
    """As the recipe says: to choose among them, more would have to be made."""
    batch = PretrainingBatches(WORLD, 1, batch=12, classes=2).make(0)
    assert len({class_of(things[0]) for things in batch.seen}) > 2


@pytest.mark.parametrize("step", [0, 3])
def test_mixtures_are_sums_of_sounds_of_different_classes(step: int) -> None:
    batch = PretrainingBatches(WORLD, 4, batch=12, seed=1).make(step)
    clips = make_clips(WORLD, range(12 * step, 12 * step + 12))
    assert np.array_equal(batch.seen.numpy(), clips.objects)
    sounds = clips.waveforms.astype(np.float64) / 32768
    for mixture in range(12):
        members = batch.members[:, mixture].nonzero()[:, 0].tolist()
        assert mixture in members
        expected = sounds[members].sum(axis=0)
        np.testing.assert_allclose(batch.waveforms[mixture].numpy(), expected, atol=1e-6)
        things = [tuple(clips.objects[member, 0]) for member in members]
        assert len({thing[:2] for thing in things}) == len(things)
        heard = [tuple(thing.tolist()) for thing in batch.heard[mixture]]
        assert heard[0] == tuple(clips.objects[mixture, 0])
        assert sorted(heard[: len(things)]) == sorted(things)
        assert heard[len(things) :] == [(-1, -1, -1)] * (4 - len(things))


def test_mixtures_have_one_to_four_sources() -> None:
    batches = PretrainingBatches(fake_clips(400), 30, batch=60, classes=9)
    sizes = torch.cat([batch.members.sum(dim=0) for batch in batches])
    shares = torch.bincount(sizes, minlength=5)[1:] / len(sizes)
    torch.testing.assert_close(shares, torch.tensor(MIXTURE_SHARES), rtol=0, atol=0.04)
    assert int(sizes.max()) == 4


def test_mixtures_of_few_classes_stay_small() -> None:
    batch = PretrainingBatches(fake_clips(60, classes=2), 1, batch=30).make(0)
    assert int(batch.members.sum(dim=0).max()) == 2


def test_a_batch_has_few_classes_in_equal_shares() -> None:
    clips = fake_clips(400)
    drawn = Counter[tuple[int, int]]()
    for batch in PretrainingBatches(clips, 40, batch=20, classes=5):
        counts = Counter(class_of(things[0]) for things in batch.seen)
        assert list(counts.values()) == [4] * 5
        drawn.update(counts.keys())
    assert len(drawn) == 18
    assert min(drawn.values()) >= 3  # of 11 on average


def test_clips_of_a_batch_are_clips_of_the_set() -> None:
    clips = fake_clips(100)
    sounds = {tuple(row): number for number, row in enumerate(clips.waveforms.tolist())}
    batch = PretrainingBatches(clips, 1, batch=30).make(0)
    alone = batch.members.sum(dim=0) == 1
    for mixture in alone.nonzero()[:, 0].tolist():
        row = (batch.waveforms[mixture] * 32768).round().int().tolist()
        assert np.array_equal(clips.objects[sounds[tuple(row)]], batch.seen[mixture].numpy())


def true_of(caption: list[int], thing: list[int]) -> bool:
    return thing[0] >= 0 and all(
        word in (-1, own) for word, own in zip(caption, thing, strict=True)
    )


def test_captions_are_true_of_their_items() -> None:
    batches = PretrainingBatches(fake_clips(400), 20, batch=50, classes=9)
    kinds = Counter[str]()
    told = Counter[bool]()
    for batch in batches:
        sides = ((batch.seen, batch.picture_captions), (batch.heard, batch.mixture_captions))
        for items, captions in sides:
            for things, caption in zip(items.tolist(), captions.tolist(), strict=True):
                assert any(true_of(caption, thing) for thing in things)
                surface, shape, size = (word >= 0 for word in caption)
                assert surface or shape
                kinds["both" if surface and shape else "surface" if surface else "shape"] += 1
                told[size] += 1
    total = sum(kinds.values())
    shares = [kinds[kind] / total for kind in ("both", "surface", "shape")]
    assert shares == pytest.approx([0.5, 0.25, 0.25], abs=0.04)
    assert told[True] / total == pytest.approx(0.4, abs=0.04)


def test_captions_name_silent_objects_too() -> None:
    named = Counter[int]()
    for batch in PretrainingBatches(fake_clips(400), 20, batch=50, classes=9):
        for things, caption in zip(
            batch.seen.tolist(), batch.picture_captions.tolist(), strict=True
        ):
            matching = [n for n, thing in enumerate(things) if true_of(caption, thing)]
            if len(matching) == 1:
                named[matching[0]] += 1
    assert named[0] / named[1] == pytest.approx(1, abs=0.25)
    assert named[2] / named[1] == pytest.approx(0.4, abs=0.1)  # half of the clips have three


def views(picture: NDArray[np.uint8]) -> list[tuple[int, NDArray[np.uint8]]]:
    """Every shift up to 6 pixels of each of the eight symmetries, with the symmetry's number."""
    padded = np.pad(picture, ((6, 6), (6, 6), (0, 0)), "reflect")
    found = []
    for down, right in product(range(13), repeat=2):
        view = padded[down : down + 16, right : right + 16]
        for number, (turns, turned) in enumerate(product(range(4), (False, True))):
            whole = np.rot90(view, turns)
            found.append((number, whole.transpose(1, 0, 2) if turned else whole))
    return found


def test_pictures_are_flipped_shifted_and_lit_and_stay_pictures() -> None:
    rng = np.random.default_rng(3)
    picture = rng.integers(90, 160, size=(16, 16, 3), dtype=np.uint8)
    known = views(picture)
    table = np.stack([view.ravel() for _, view in known]).astype(np.float64)
    table -= table.mean(axis=1, keepdims=True)
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    symmetries = set()
    contrasts = []
    for made in _augmented(np.random.default_rng(1), np.stack([picture] * 60)):
        assert made.shape == picture.shape
        agreement = table @ (made.ravel() - made.mean())
        best = int(agreement.argmax())
        symmetry, view = known[best]
        slope, offset = np.polyfit(view.ravel().astype(float), made.ravel().astype(float), 1)
        residual = made - (slope * view.astype(float) + offset)
        assert np.abs(residual).max() <= 1.01  # what is left is rounding to whole numbers
        symmetries.add(symmetry)
        contrasts.append(slope)
    assert len(symmetries) == 8
    assert 0.83 < min(contrasts) < 0.95
    assert 1.05 < max(contrasts) < 1.17


def test_light_does_not_overflow() -> None:
    black, white = (np.full((40, 16, 16, 3), value, dtype=np.uint8) for value in (0, 255))
    assert _augmented(np.random.default_rng(0), black).max() < 60
    assert _augmented(np.random.default_rng(0), white).min() > 190


def test_frames_are_normalised_pictures() -> None:
    batch = PretrainingBatches(KEPT, 1, batch=6, classes=3).make(0)
    assert batch.frames.shape == (6, 3, 112, 112)
    assert batch.frames.dtype == torch.float32
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    deviation = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
    values = (batch.frames * deviation + mean) * 255
    torch.testing.assert_close(values, values.round(), rtol=0, atol=1e-3)
    assert float(values.min()) > -0.01
    assert float(values.max()) < 255.01
