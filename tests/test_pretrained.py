"""The model that comes with the package is whole, small, and does what its card says."""

from __future__ import annotations

import pytest
from benchmarks.mini_model import reach

from tvsl.audioclip.weights import embedded_folder
from tvsl.errors import VocabularyError
from tvsl.evaluation.batch import encode_scenes
from tvsl.loading import load
from tvsl.localizer import Localizer
from tvsl.synthetic.vocabulary import CLASSES
from tvsl.synthetic.world import World

LARGEST = 8_000_000


def test_it_is_small_and_nothing_in_it_can_run() -> None:
    files = [path for path in embedded_folder("mini").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".md", ".safetensors"}
    assert sum(path.stat().st_size for path in files) < LARGEST


def test_its_head_is_for_it() -> None:
    loaded = load("mini")
    assert loaded.method.config.detection_threshold is not None
    assert loaded.encoder.classes == CLASSES["all"]


@pytest.mark.parametrize(
    ("sources", "average", "success", "least"),
    [(1, "AP", "IoU@0.5", (86, 74)), (2, "CAP", "CIoU@0.3", (76, 86))],
)
def test_it_localizes_what_it_never_saw(
    sources: int, average: str, success: str, least: tuple[float, float]
) -> None:
    loaded = load("mini")
    scenes = encode_scenes(loaded.encoder, World("test"), sources, 60)
    reached = reach(loaded.method, scenes)
    assert reached["detected"] is not None
    # Of 60 scenes the share is known to about 5 points; the card has the figures of 500.
    assert reached["detected"][average] > least[0] - 6
    assert reached["detected"][success] > least[1] - 8


def test_real_names_are_refused_by_word() -> None:
    localizer = Localizer.from_pretrained("mini")
    panel = World("test").scene(0).panels[0]
    with pytest.raises(VocabularyError, match=r"'dog', 'barking'.*audioclip"):
        localizer.localize(panel.picture, (panel.waveform, 16_000), labels=["dog barking"])
