from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from benchmarks.mini_model import reach, table_rows, with_vocabulary
from sklearn.metrics import average_precision_score
from torch import Tensor

from tests.evaluation.made_scenes import made_scenes
from tvsl.errors import VocabularyError
from tvsl.evaluation.batch import EncodedBatch, encode_scenes
from tvsl.evaluation.score import score_maps
from tvsl.localizer import Localizer
from tvsl.methods.base import Method, MethodConfig, Supervision
from tvsl.synthetic.vocabulary import CLASSES
from tvsl.synthetic.world import World
from tvsl.tokens import Queries, Tokens, Vocabulary


class Known(Method):
    """Shows maps and scores that are given to it, the maps upside down."""

    name: ClassVar[str] = "known"
    supervision: ClassVar[Supervision] = "none"
    class_aware: ClassVar[bool] = True

    def __init__(self, scenes: EncodedBatch, raw: Tensor, scores: Tensor | None) -> None:
        super().__init__(MethodConfig(polarity=-1))
        self.raw, self.scores = raw, scores
        pairs = zip(scenes.queries.clip.tolist(), scenes.queries.label.tolist(), strict=True)
        self.rows = {pair: row for row, pair in enumerate(pairs)}

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:
        return {}

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        assert not self.training
        pairs = zip(queries.clip.tolist(), queries.label.tolist(), strict=True)
        known = [self.rows.get(pair) for pair in pairs]
        nothing = torch.zeros_like(self.raw[0])
        return torch.stack([nothing if row is None else self.raw[row] for row in known])

    def can_detect(self) -> bool:  # type: ignore[override]
        return self.scores is not None

    def detect(self, tokens: Tokens, vocabulary: Vocabulary) -> Tensor | None:
        return self.scores


@pytest.fixture
def scenes() -> EncodedBatch:
    return made_scenes(12, 2)


@pytest.mark.parametrize("on", ["boxes", "masks"])
def test_given_labels_ask_for_all_and_detected_ones_are_strict(
    scenes: EncodedBatch, on: str
) -> None:
    generator = torch.Generator().manual_seed(0)
    truth = scenes.targets if on == "boxes" else scenes.masks
    scores = scenes.labels + torch.randn(scenes.labels.shape, generator=generator)
    reached = reach(Known(scenes, -truth.float(), scores), scenes, on)
    assert reached["given"]["CAP"] == reached["given"]["CIoU@0.5"] == 100
    taken = (-scores).argsort(dim=1)[:, :2][scenes.queries.clip]
    found = (taken == scenes.queries.label[:, None]).any(dim=1).double()
    share = 100 * float(found.mean())
    assert 0 < share < 100
    assert reached["detected"] is not None
    assert reached["detected"]["CIoU@0.3"] == pytest.approx(share)
    assert reached["detected"]["CAP"] == pytest.approx(
        100
        * sum(float(found[scenes.queries.label == n].mean()) for n in scenes.queries.label.unique())
        / len(scenes.queries.label.unique())
    )
    each = [
        average_precision_score(scenes.labels[:, label], scores[:, label])
        for label in range(scenes.labels.shape[1])
        if scenes.labels[:, label].any()
    ]
    assert reached["detection"] == pytest.approx(100 * sum(each) / len(each))


def test_a_method_without_detection_reaches_nothing_there(scenes: EncodedBatch) -> None:
    reached = reach(Known(scenes, -scenes.targets.float(), None), scenes)
    assert reached["given"]["CAP"] == 100
    assert reached["detected"] is None
    assert reached["detection"] is None


def test_heads_are_scored_by_their_names(scenes: EncodedBatch) -> None:
    random = torch.rand(scenes.targets.shape, generator=torch.Generator().manual_seed(1))
    heads = {
        "good": Known(scenes, -scenes.targets.float(), None),
        "poor": Known(scenes, random, None),
    }
    reached = {name: reach(head, scenes) for name, head in heads.items()}
    assert list(reached) == ["good", "poor"]
    assert reached["good"]["given"]["CAP"] == 100
    assert reached["poor"]["given"] == score_maps(-random, scenes).summary(scenes.sources > 1)


def test_the_rows_are_those_of_the_issue() -> None:
    rows = {row.title: row for row in table_rows()}
    assert {title: row.sources for title, row in rows.items()} == {
        "single": 1,
        "duet": 2,
        "3 sources": 3,
        "4 sources": 4,
        "unseen single": 1,
        "unseen duet": 2,
        "unseen single of 36": 1,
        "unseen duet of 36": 2,
        "twin single": 1,
        "twin duet": 2,
        "off-screen single": 1,
        "off-screen duet": 2,
    }
    for title, row in rows.items():
        world = row.world
        assert world.split == "test"
        assert world.names == CLASSES["unseen" if "unseen" in title else "seen"]
        assert row.names == (CLASSES["all"] if "of 36" in title else None)
        assert world.twins == (1.0 if "twin" in title else 0.2)
        assert world.off_screen == (1.0 if "off-screen" in title else 0.15)
    assert {row.world.split for row in table_rows("validation")} == {"validation"}


def test_rows_of_twins_and_of_off_screen_sounds_hold_nothing_else() -> None:
    rows = {row.title: row.world for row in table_rows()}
    for number in range(6):
        assert all(panel.twin is not None for panel in rows["twin duet"].scene(number, 2).panels)
        assert rows["off-screen duet"].scene(number, 2).off_screen is not None


def test_other_names_ask_for_the_same_sources() -> None:
    encoder = Localizer.from_pretrained("mini", device="cpu").encoder
    scenes = encode_scenes(encoder, World("test", "unseen"), 2, 5)
    names = CLASSES["all"][::-1]
    other = with_vocabulary(scenes, encoder, names)

    def names_of(part: EncodedBatch) -> list[str]:
        return [part.vocabulary.names[row] for row in part.queries.label]

    assert names_of(other) == names_of(scenes)
    assert other.tokens is scenes.tokens
    assert other.labels.shape == (5, 36)
    for row, plain in zip(other.labels, scenes.labels, strict=True):
        found = {names[number] for number in row.nonzero()[:, 0]}
        assert found == {scenes.vocabulary.names[number] for number in plain.nonzero()[:, 0]}
    with pytest.raises(VocabularyError):
        with_vocabulary(scenes, encoder, CLASSES["seen"])
