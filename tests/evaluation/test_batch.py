from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.training.tiny import tiny_model
from tvsl.audioclip.encoder import AudioCLIPEncoder
from tvsl.errors import VocabularyError
from tvsl.evaluation import batch as module
from tvsl.evaluation.batch import (
    EncodedBatch,
    encode_scenes,
)
from tvsl.synthetic.world import World, WorldScene

WORLD = World("validation", seed=3, twins=0.5)
COUNT = 5
FIELDS = ("visual", "audio", "image", "sound")


@pytest.fixture(scope="module")
def encoder() -> AudioCLIPEncoder:
    torch.manual_seed(0)
    return AudioCLIPEncoder(tiny_model())


@pytest.fixture(scope="module", params=[1, 2, 4])
def made(
    request: pytest.FixtureRequest, encoder: AudioCLIPEncoder
) -> tuple[EncodedBatch, list[WorldScene]]:
    sources: int = request.param
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "_CLIPS", 2)  # the last one is smaller
        encoded = encode_scenes(encoder, WORLD, sources, COUNT)
    return encoded, [WORLD.scene(number, sources) for number in range(COUNT)]


Made = tuple[EncodedBatch, list[WorldScene]]


def test_tokens_are_those_of_each_scene(made: Made, encoder: AudioCLIPEncoder) -> None:
    encoded, scenes = made
    for number, scene in enumerate(scenes):
        frames = torch.stack([encoder.prepare(panel.picture) for panel in scene.panels])[None]
        alone = encoder.encode(frames, torch.from_numpy(scene.waveform)[None])
        assert (encoded.tokens.grid, encoded.tokens.panels) == (alone.grid, len(scene.panels))
        for name in FIELDS:
            found = getattr(encoded.tokens, name)[number : number + 1]
            torch.testing.assert_close(found, getattr(alone, name), rtol=1e-3, atol=1e-5)


def test_queries_and_labels_name_what_sounds(made: Made) -> None:
    encoded, scenes = made
    names = encoded.vocabulary.names
    assert names == WORLD.names
    found = list(zip(encoded.queries.clip.tolist(), encoded.queries.label.tolist(), strict=True))
    expected = [
        (number, names.index(label))
        for number, scene in enumerate(scenes)
        for label in scene.labels
    ]
    assert found == expected
    assert encoded.labels.nonzero().tolist() == sorted(map(list, expected))
    assert encoded.sources == len(scenes[0].panels)


def test_truth_lies_in_the_panel_of_its_source(made: Made) -> None:
    encoded, scenes = made
    width = 112 * encoded.sources
    assert encoded.size == (112, width)
    pair = twins = 0
    for scene in scenes:
        for place, panel in enumerate(scene.panels):
            assert np.array_equal(encoded.masks[pair].numpy(), scene.mask(place))
            rows, columns = np.nonzero(scene.mask(place))
            box = np.zeros((112, width), dtype=np.bool_)
            box[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
            assert np.array_equal(encoded.targets[pair].numpy(), box)
            twin = np.zeros((112, width), dtype=np.bool_)
            for thing, mask in zip(panel.objects, panel.masks, strict=True):
                if thing.label == panel.label and not thing.sounds:
                    twin[:, 112 * place : 112 * (place + 1)] = mask
                    twins += 1
            assert np.array_equal(encoded.twins[pair].numpy(), twin)
            pair += 1
    assert pair == len(encoded.masks) == len(encoded.targets) == len(encoded.twins)
    assert 0 < twins < pair


def test_more_scenes_begin_with_the_same(encoder: AudioCLIPEncoder) -> None:
    few, more = (encode_scenes(encoder, WORLD, 2, count) for count in (2, 3))
    torch.testing.assert_close(few.tokens.visual, more.tokens.visual[:2], rtol=1e-4, atol=1e-5)
    assert torch.equal(few.masks, more.masks[:4])


def test_scenes_from_the_middle_are_those_of_the_whole(encoder: AudioCLIPEncoder) -> None:
    whole, part = encode_scenes(encoder, WORLD, 2, 5), encode_scenes(encoder, WORLD, 2, 2, start=3)
    torch.testing.assert_close(part.tokens.visual, whole.tokens.visual[3:], rtol=1e-4, atol=1e-5)
    assert torch.equal(part.queries.label, whole.queries.label[6:])
    assert torch.equal(part.masks, whole.masks[6:])


def test_a_model_must_know_the_world_s_words(encoder: AudioCLIPEncoder) -> None:
    class Elsewhere(World):
        @property
        def names(self) -> tuple[str, ...]:
            return ("dog barking",)

    with pytest.raises(VocabularyError, match="dog"):
        encode_scenes(encoder, Elsewhere(), 1, 1)
