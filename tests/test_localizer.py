from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from tests.media.media_makers import make_sound, make_video
from tests.mini_bundle import write_mini_bundle
from tests.small_model import RATE, scene, tone, write_picture, write_small_checkpoint
from tvsl import Localization, Localizer
from tvsl.errors import (
    MediaError,
    MediaLimitError,
    MissingFileError,
    NoSoundError,
    ShapeError,
    SilentAudioError,
    TvslError,
    UsageError,
    VocabularyError,
    WeightsError,
)
from tvsl.media import MediaLimits, VideoFrame, Waveform, sound_window
from tvsl.vocabularies import everyday_sounds

LABELS = ["dog barking", "train", "woman speaking"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_checkpoint(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def localizer(checkpoint: Path) -> Localizer:
    return Localizer.from_pretrained(checkpoint, device="cpu")


@pytest.fixture(scope="module")
def quick(checkpoint: Path) -> Localizer:
    """One that hears half a second at once."""
    return Localizer.from_pretrained(checkpoint, device="cpu", window=0.5)


def assert_same(first: Localization, second: Localization) -> None:
    assert [source.label for source in first.sources] == [s.label for s in second.sources]
    assert first.size == second.size
    assert first.label_source == second.label_source
    for one, other in zip(first.sources, second.sources, strict=True):
        np.testing.assert_array_equal(one.grid, other.grid)
        assert one.score == other.score
        assert one.box == other.box
        assert one.time_range == other.time_range


def assert_well_formed(found: Localization, size: tuple[int, int]) -> None:
    height, width = size
    assert found.size == size
    for source in found.sources:
        heatmap = source.heatmap
        assert heatmap.shape == size
        assert heatmap.dtype == np.float32
        assert heatmap.min() >= 0
        assert heatmap.max() <= 1
        assert np.isfinite(source.score)
        box = source.box
        if box is not None:
            assert 0 <= box.left < box.right <= width
            assert 0 <= box.top < box.bottom <= height
            row, column = np.unravel_index(int(heatmap.argmax()), size)
            assert box.left <= column < box.right
            assert box.top <= row < box.bottom


def grids(found: Localization) -> NDArray[np.float32]:
    return np.stack([source.grid for source in found.sources])


# Loading


def test_from_pretrained_takes_a_path_or_its_text(checkpoint: Path, localizer: Localizer) -> None:
    again = Localizer.from_pretrained(str(checkpoint), device="cpu")
    assert localizer.name == again.name == "small.safetensors/tvsl"
    sound = (tone(), RATE)
    assert_same(
        localizer.localize(scene(), sound, labels=LABELS),
        again.localize(scene(), sound, labels=LABELS),
    )


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"preset": "best"}, UsageError, "tvsl, paper, released"),
        ({"preset": ""}, UsageError, "tvsl, paper, released"),
        ({"device": "toaster"}, UsageError, "toaster"),
        ({"device": ""}, UsageError, "device"),
        ({"device": "cuda:99"}, UsageError, "cuda:99"),
        ({"window": 0.0}, UsageError, "window"),
        ({"window": -1.0}, UsageError, "window"),
        ({"window": 61.0}, UsageError, "window"),
        ({"window": float("nan")}, UsageError, "window"),
    ],
)
def test_bad_options_are_named(
    checkpoint: Path, options: dict[str, Any], error: type[TvslError], says: str
) -> None:
    with pytest.raises(error, match=says):
        Localizer.from_pretrained(checkpoint, **options)


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"absent\.pt"):
        Localizer.from_pretrained(tmp_path / "absent.pt")


@pytest.mark.parametrize("preset", ["tvsl", "paper", "released"])
@pytest.mark.parametrize("labels", [LABELS, None], ids=["given", "detected"])
def test_every_preset_runs(checkpoint: Path, preset: str, labels: list[str] | None) -> None:
    localizer = Localizer.from_pretrained(checkpoint, preset=preset, device="cpu")
    found = localizer.localize(scene(), (tone(), RATE), labels=labels)
    assert found.model == f"small.safetensors/{preset}"
    assert found.sources
    assert_well_formed(found, (60, 80))


def test_presets_differ(checkpoint: Path) -> None:
    maps = [
        Localizer.from_pretrained(checkpoint, preset=name, device="cpu")
        .localize(scene(224, 224), (tone(), RATE), labels=LABELS[:1])
        .sources[0]
        .grid
        for name in ("tvsl", "released")
    ]
    assert maps[0].shape == maps[1].shape == (7, 7)
    assert not np.allclose(maps[0], maps[1], rtol=1e-3)


def test_bfloat16_stays_near_float32(checkpoint: Path, localizer: Localizer) -> None:
    rough = Localizer.from_pretrained(checkpoint, device="cpu", precision="bfloat16")
    exact = localizer.localize(scene(), (tone(), RATE), labels=LABELS)
    near = rough.localize(scene(), (tone(), RATE), labels=LABELS)
    for one, other in zip(exact.sources, near.sources, strict=True):
        assert other.score == pytest.approx(one.score, abs=0.05)


# What goes in


def test_once_encoded_asked_often(localizer: Localizer) -> None:
    sound = (tone(), RATE)
    encoded = localizer.encode(scene(), sound)
    for labels, vocabulary, sources in [
        (LABELS, None, None),
        (LABELS[:1], None, None),
        (None, LABELS, None),
        (None, LABELS, 2),
        (None, None, None),
        (None, None, 3),
    ]:
        assert_same(
            localizer.localize_encoded(encoded, labels, vocabulary, sources),
            localizer.localize(scene(), sound, labels, vocabulary, sources),
        )


@pytest.mark.parametrize("kind", ["path", "text", "pillow", "grey", "alpha"])
def test_a_picture_in_any_form_gives_the_same(
    tmp_path: Path, localizer: Localizer, kind: str
) -> None:
    image = scene()
    if kind == "grey":
        image = np.repeat(image[:, :, :1], 3, axis=2)
    forms: dict[str, Callable[[], Any]] = {
        "path": lambda: write_picture(tmp_path / "a.png", image),
        "text": lambda: str(write_picture(tmp_path / "a.png", image)),
        "pillow": lambda: Image.fromarray(image),
        "grey": lambda: image[:, :, 0],
        "alpha": lambda: np.dstack([image, np.full((60, 80), 255, np.uint8)]),
    }
    sound = (tone(), RATE)
    assert_same(
        localizer.localize(forms[kind](), sound, labels=LABELS),
        localizer.localize(image, sound, labels=LABELS),
    )


@pytest.mark.parametrize("kind", ["path", "text", "waveform", "stereo", "int16"])
def test_a_sound_in_any_form_gives_the_same(
    tmp_path: Path, localizer: Localizer, kind: str
) -> None:
    whole = np.round(tone() * 32768).astype(np.int16)  # what 16 bits hold exactly
    samples = whole.astype(np.float32) / 32768
    forms: dict[str, Callable[[], Any]] = {
        "path": lambda: make_sound(tmp_path / "a.wav", samples, RATE),
        "text": lambda: str(make_sound(tmp_path / "a.wav", samples, RATE)),
        "waveform": lambda: Waveform(samples, RATE),
        "stereo": lambda: (np.stack([samples, samples], axis=1), RATE),
        "int16": lambda: (whole, RATE),
    }
    assert_same(
        localizer.localize(scene(), forms[kind](), labels=LABELS),
        localizer.localize(scene(), (samples, RATE), labels=LABELS),
    )


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000, 96_000])
def test_other_rates_are_heard_as_long(localizer: Localizer, rate: int) -> None:
    found = localizer.localize(scene(), (tone(rate=rate), rate), labels=LABELS)
    assert found.sources[0].time_range == pytest.approx((0.0, 1.0), abs=1e-3)
    same = localizer.localize(scene(), (tone(), RATE), labels=LABELS)
    np.testing.assert_allclose(grids(found), grids(same), atol=0.02)


def test_a_video_file_serves_as_sound(tmp_path: Path, localizer: Localizer) -> None:
    video = make_video(tmp_path / "v.mp4", count=25, sound=tone())
    found = localizer.localize(scene(), video, labels=LABELS)
    assert_well_formed(found, (60, 80))


def test_of_a_long_sound_the_middle_is_heard(quick: Localizer) -> None:
    parts = [tone(4.75, frequency=100), tone(0.5, frequency=3000), tone(4.75, frequency=100)]
    found = quick.localize(scene(), (np.concatenate(parts), RATE), labels=LABELS)
    assert found.sources[0].time_range == pytest.approx((4.75, 5.25), abs=1e-3)
    alone = quick.localize(scene(), (parts[1], RATE), labels=LABELS)
    np.testing.assert_allclose(grids(found), grids(alone), atol=1e-6)


def test_the_window_bounds_what_is_heard(localizer: Localizer) -> None:
    found = localizer.localize(scene(), (tone(60), RATE), labels=LABELS[:1])
    assert found.sources[0].time_range == pytest.approx((27.5, 32.5))


def test_a_waveform_keeps_its_place_in_time(localizer: Localizer) -> None:
    found = localizer.localize(scene(), Waveform(tone(), RATE, start=7.5), labels=LABELS[:1])
    assert found.sources[0].time_range == pytest.approx((7.5, 8.5))


@pytest.mark.parametrize("count", [1, 2, 100, 560, 2_000, 20_000])
def test_very_short_sounds_are_heard(localizer: Localizer, count: int) -> None:
    samples = tone()[5_003 : 5_003 + count]
    found = localizer.localize(scene(), (samples, RATE), labels=LABELS)
    assert_well_formed(found, (60, 80))
    assert found.sources[0].time_range == pytest.approx((0.0, count / RATE))


@pytest.mark.parametrize(
    ("height", "width"),
    [(1, 1), (1, 300), (300, 1), (31, 33), (2, 2000), (224, 224), (500, 37), (33, 1024)],
)
@pytest.mark.parametrize("preset", ["tvsl", "released"])
def test_odd_sizes(checkpoint: Path, height: int, width: int, preset: str) -> None:
    localizer = _cached(checkpoint, preset)
    found = localizer.localize(scene(height, width), (tone(0.3), RATE), labels=LABELS)
    assert_well_formed(found, (height, width))


_LOADED: dict[tuple[Path, str], Localizer] = {}


def _cached(checkpoint: Path, preset: str) -> Localizer:
    if (checkpoint, preset) not in _LOADED:
        _LOADED[checkpoint, preset] = Localizer.from_pretrained(
            checkpoint, preset=preset, device="cpu"
        )
    return _LOADED[checkpoint, preset]


def test_a_camera_s_turn_is_obeyed(tmp_path: Path, localizer: Localizer) -> None:
    upright = scene()
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    path = tmp_path / "turned.png"
    Image.fromarray(np.rot90(upright).copy()).save(path, exif=exif)
    sound = (tone(), RATE)
    assert_same(
        localizer.localize(path, sound, labels=LABELS),
        localizer.localize(upright, sound, labels=LABELS),
    )


def _missing(folder: Path) -> tuple[Any, Any]:
    return folder / "absent.png", (tone(), RATE)


def _mute_video(folder: Path) -> tuple[Any, Any]:
    return scene(), make_video(folder / "mute.mp4", count=5)


@pytest.mark.parametrize(
    ("inputs", "error"),
    [
        (_missing, MissingFileError),
        (_mute_video, NoSoundError),
        (lambda _: (scene(), (np.zeros(RATE, np.float32), RATE)), SilentAudioError),
        (lambda _: (scene(), (tone() * 1e-5, RATE)), SilentAudioError),
        (lambda _: (scene().astype(np.float32), (tone(), RATE)), ShapeError),
        (lambda _: (scene()[None], (tone(), RATE)), ShapeError),
        (lambda _: (scene()[:0], (tone(), RATE)), ShapeError),
        (lambda _: (None, (tone(), RATE)), ShapeError),
        (lambda _: (scene(), (tone()[:0], RATE)), ShapeError),
        (lambda _: (scene(), (tone() * np.nan, RATE)), ShapeError),
        (lambda _: (scene(), (tone() * 1000, RATE)), ShapeError),
        (lambda _: (scene(), (tone(), 10)), MediaLimitError),
        (lambda _: (scene(), tone()), ShapeError),
        (lambda _: (scene(), None), ShapeError),
        (lambda _: (scene(), (tone(), None)), TvslError),
    ],
)
def test_what_cannot_be_used_is_refused(
    tmp_path: Path,
    localizer: Localizer,
    inputs: Callable[[Path], tuple[Any, Any]],
    error: type[TvslError],
) -> None:
    image, sound = inputs(tmp_path)
    with pytest.raises(error):
        localizer.localize(image, sound, labels=LABELS)


def test_a_silent_file_is_named(tmp_path: Path, localizer: Localizer) -> None:
    path = make_sound(tmp_path / "quiet.wav", np.zeros(RATE, np.float32), RATE)
    with pytest.raises(SilentAudioError, match=r"quiet\.wav"):
        localizer.localize(scene(), path, labels=LABELS)


def test_where_classes_are_detected_silence_is_an_answer(
    tmp_path: Path, localizer: Localizer
) -> None:
    found = localizer.localize(scene(30, 40), (np.zeros(RATE, np.float32), RATE), panels=2)
    assert found.sources == ()
    assert (found.size, found.heard, found.label_source) == ((30, 40), None, "detected")
    (notice,) = found.notices
    assert "silent from 0.00 to 1.00 s" in notice


def test_a_sound_that_is_silent_in_its_middle_is_not_called_silent_as_a_whole(
    tmp_path: Path, localizer: Localizer
) -> None:
    samples = np.zeros(9 * RATE, np.float32)
    samples[8 * RATE :] = 0.5 * np.sin(np.arange(RATE, dtype=np.float32))
    path = make_sound(tmp_path / "late.wav", samples, RATE)
    with pytest.raises(SilentAudioError, match=r"from 2\.00 to 7\.00 s.*longer window"):
        localizer.localize(scene(), path, labels=LABELS)


@pytest.mark.parametrize("which", ["picture", "sound"])
def test_limits_are_obeyed(tmp_path: Path, localizer: Localizer, which: str) -> None:
    limits = MediaLimits(max_pixels=100) if which == "picture" else MediaLimits(max_duration=0.5)
    strict = Localizer(localizer.encoder, localizer.method, "strict", limits=limits)
    sound = make_sound(tmp_path / "a.wav", tone(2.0), RATE)
    with pytest.raises(MediaLimitError):
        strict.localize(scene(), sound, labels=LABELS)


# What is asked


@pytest.mark.parametrize("labels", [LABELS, LABELS[::-1], LABELS[1:2], tuple(LABELS)])
def test_given_labels_keep_their_order(
    localizer: Localizer, labels: list[str] | tuple[str, ...]
) -> None:
    found = localizer.localize(scene(), (tone(), RATE), labels=labels)
    assert [source.label for source in found.sources] == list(labels)
    assert found.label_source == "given"
    assert_well_formed(found, (60, 80))


def test_unless_sounds_are_shared_a_label_s_map_does_not_depend_on_the_others(
    localizer: Localizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = localizer.method.config.model_copy(update={"responsibility": 0.0})
    monkeypatch.setattr(localizer.method, "config", alone)
    encoded = localizer.encode(scene(), (tone(), RATE))
    together = localizer.localize_encoded(encoded, labels=LABELS)
    for source in together.sources:
        alone = localizer.localize_encoded(encoded, labels=[source.label]).sources[0]
        np.testing.assert_allclose(source.grid, alone.grid, atol=1e-6)
        assert source.score == pytest.approx(alone.score, abs=1e-6)


def test_every_spelling_of_a_label_scores_alike(tmp_path: Path) -> None:
    bundle = write_mini_bundle(tmp_path / "bundle", detector="decomposition")
    localizer = Localizer.from_pretrained(bundle, device="cpu")
    encoded = localizer.encode(scene(), (tone(), RATE))
    expected = localizer.localize_encoded(encoded, labels=["red disc", "blue ring"])
    for labels in (["Red  DISC", "blue ring"], ["ｒｅｄ\u00a0disc ", "blue\tring"]):  # noqa: RUF001
        found = localizer.localize_encoded(encoded, labels=labels)
        assert [source.label for source in found.sources] == labels
        for one, other in zip(found.sources, expected.sources, strict=True):
            np.testing.assert_array_equal(one.grid, other.grid)
            assert one.score == other.score
    with pytest.raises(VocabularyError, match=r"'red disc' and 'Red\\tdisc'"):
        localizer.localize_encoded(encoded, labels=["red disc", "Red\tdisc"])
    with pytest.raises(VocabularyError, match=r"'red disc' and 'Red\\tdisc'"):
        localizer.localize_encoded(encoded, vocabulary=["red disc", "Red\tdisc"])


def test_a_vocabulary_s_spelling_is_shown_and_makes_no_difference(localizer: Localizer) -> None:
    encoded = localizer.encode(scene(), (tone(), RATE))
    plain = localizer.localize_encoded(encoded, vocabulary=LABELS, sources=3)
    for spelled in ([name.upper() for name in LABELS], [f" {name}\u3000" for name in LABELS]):
        found = localizer.localize_encoded(encoded, vocabulary=spelled, sources=3)
        order = [LABELS.index(source.label) for source in plain.sources]
        assert [source.label for source in found.sources] == [spelled[place] for place in order]
        assert [source.score for source in found.sources] == [s.score for s in plain.sources]


def test_few_vocabularies_are_kept(localizer: Localizer) -> None:
    encoded = localizer.encode(scene(), (tone(0.3), RATE))
    first = localizer.localize_encoded(encoded, labels=["dog number 0"])
    for number in range(40):
        localizer.localize_encoded(encoded, labels=[f"dog number {number}"])
    assert len(localizer._vocabularies) <= 8
    assert_same(localizer.localize_encoded(encoded, labels=["dog number 0"]), first)


def test_where_the_model_has_classes_no_label_depends_on_the_others(tmp_path: Path) -> None:
    bundle = write_mini_bundle(tmp_path / "bundle", detector="decomposition")
    localizer = Localizer.from_pretrained(bundle, device="cpu")
    assert localizer.method.config.compares_classes
    encoded = localizer.encode(scene(), (tone(), RATE))
    labels = ["red disc", "dotted cross", "blue ring"]
    together = localizer.localize_encoded(encoded, labels=labels)
    assert [source.label for source in together.sources] == labels
    detected = localizer.localize_encoded(encoded, sources=36)
    by_label = {source.label: source for source in detected.sources}
    for source in together.sources:
        alone = localizer.localize_encoded(encoded, labels=[source.label]).sources[0]
        for other in (alone, by_label[source.label]):
            np.testing.assert_allclose(source.grid, other.grid, atol=1e-6)
            assert source.score == pytest.approx(other.score, abs=1e-6)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_as_many_are_detected_as_asked(localizer: Localizer, count: int) -> None:
    found = localizer.localize(scene(), (tone(), RATE), vocabulary=LABELS, sources=count)
    assert found.label_source == "detected"
    assert len({source.label for source in found.sources}) == len(found.sources) == count
    assert {source.label for source in found.sources} <= set(LABELS)
    scores = [source.score for source in found.sources]
    assert scores == sorted(scores, reverse=True)


def test_everyday_sounds_are_the_default_list(localizer: Localizer) -> None:
    encoded = localizer.encode(scene(), (tone(), RATE))
    found = localizer.localize_encoded(encoded, sources=5)
    everyday = everyday_sounds()
    assert 150 <= len(everyday) <= 300
    assert {source.label for source in found.sources} <= set(everyday)
    assert_same(found, localizer.localize_encoded(encoded, vocabulary=everyday, sources=5))


def test_detection_finds_between_one_and_eight(localizer: Localizer) -> None:
    for seed in range(3):
        found = localizer.localize(scene(seed=seed), (tone(0.5), RATE))
        assert 1 <= len(found.sources) <= 8


def test_unless_sounds_are_shared_detected_and_given_agree(
    localizer: Localizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = localizer.method.config.model_copy(update={"responsibility": 0.0})
    monkeypatch.setattr(localizer.method, "config", alone)
    encoded = localizer.encode(scene(), (tone(), RATE))
    for source in localizer.localize_encoded(encoded, vocabulary=LABELS, sources=3).sources:
        given = localizer.localize_encoded(encoded, labels=[source.label]).sources[0]
        np.testing.assert_allclose(given.grid, source.grid, atol=1e-6)


@pytest.mark.parametrize(
    ("request_", "error", "says"),
    [
        ({"labels": LABELS, "vocabulary": LABELS}, UsageError, "labels"),
        ({"labels": LABELS, "sources": 2}, UsageError, "labels"),
        ({"labels": "dog"}, UsageError, r"\['dog'\]"),
        ({"vocabulary": "dog"}, UsageError, r"\['dog'\]"),
        ({"labels": ["dog", "dog"]}, VocabularyError, "dog"),
        ({"vocabulary": ["dog", "cat", "dog"]}, VocabularyError, "dog"),
        ({"labels": [""]}, VocabularyError, "empty"),
        ({"labels": ["dog", "  "]}, VocabularyError, "empty"),
        ({"labels": []}, TvslError, "name|label"),
        ({"vocabulary": []}, TvslError, "name|label"),
        ({"labels": ["very " * 100 + "loud"]}, VocabularyError, "tokens"),
        ({"sources": 0}, UsageError, "from 1 to"),
        ({"sources": -1}, UsageError, "from 1 to"),
        ({"vocabulary": LABELS, "sources": 4}, UsageError, "from 1 to 3"),
        ({"sources": 1.5}, UsageError, "number of sources is 1.5"),
        ({"sources": "2"}, UsageError, "number of sources is '2'"),
        ({"sources": True}, UsageError, "number of sources is true"),
        ({"labels": 3}, UsageError, r"\['dog'\]"),
        ({"vocabulary": b"dog"}, UsageError, r"\['dog'\]"),
    ],
)
def test_wrong_requests_are_refused(
    localizer: Localizer, request_: dict[str, Any], error: type[TvslError], says: str
) -> None:
    with pytest.raises(error, match=says):
        localizer.localize(scene(), (tone(0.3), RATE), **request_)


def test_names_may_come_from_anything_that_can_be_gone_through(localizer: Localizer) -> None:
    encoded = localizer.encode(scene(), (tone(0.3), RATE))
    expected = localizer.localize_encoded(encoded, labels=LABELS)
    detected = localizer.localize_encoded(encoded, vocabulary=LABELS, sources=2)
    for given in (iter(LABELS), (name for name in LABELS), dict.fromkeys(LABELS), np.array(LABELS)):
        assert_same(localizer.localize_encoded(encoded, labels=given), expected)  # type: ignore[arg-type]
    count = np.int64(2)
    found = localizer.localize_encoded(encoded, vocabulary=iter(LABELS), sources=count)  # type: ignore[arg-type]
    assert_same(found, detected)


@pytest.mark.parametrize("labels", ["dog", ["dog", "dog"], []])
def test_a_wrong_request_is_refused_before_a_file_is_read(
    localizer: Localizer, labels: list[str]
) -> None:
    with pytest.raises((UsageError, VocabularyError)):
        localizer.localize("absent.png", "absent.wav", labels=labels)


@pytest.mark.parametrize("label", ["犬の鳴き声", "chien qui aboie", "a 🐶", "C#, maj.7 & more"])
def test_labels_of_any_script(localizer: Localizer, label: str) -> None:
    found = localizer.localize(scene(), (tone(0.3), RATE), labels=[label])
    assert found.sources[0].label == label


# Properties


def test_twice_the_same_gives_the_same(localizer: Localizer) -> None:
    first = localizer.localize(scene(), (tone(), RATE))
    localizer.localize(scene(seed=1), (tone(0.3, frequency=99), RATE), labels=LABELS)
    assert_same(first, localizer.localize(scene(), (tone(), RATE)))


def test_picture_and_sound_both_matter(localizer: Localizer) -> None:
    first = localizer.localize(scene(), (tone(), RATE), labels=LABELS)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, RATE).astype(np.float32)
    other_sound = localizer.localize(scene(), (noise, RATE), labels=LABELS)
    other_picture = localizer.localize(scene()[::-1].copy(), (tone(), RATE), labels=LABELS)
    assert not np.allclose(grids(first), grids(other_sound), atol=1e-5)
    assert not np.allclose(grids(first), grids(other_picture), atol=1e-5)


def test_inputs_are_left_alone(localizer: Localizer) -> None:
    image, samples = scene(), tone()
    localizer.localize(image, (samples, RATE), labels=LABELS)
    np.testing.assert_array_equal(image, scene())
    np.testing.assert_array_equal(samples, tone())


def test_read_only_arrays_are_taken(localizer: Localizer) -> None:
    image, samples = scene(), tone()
    image.flags.writeable = samples.flags.writeable = False
    assert localizer.localize(image, (samples, RATE), labels=LABELS).sources


def test_frozen_means_frozen(localizer: Localizer) -> None:
    model = localizer.encoder.model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    localizer.localize(scene(), (tone(), RATE), labels=LABELS)
    model.train()
    found = localizer.localize(scene(), (tone(), RATE), labels=LABELS)
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not any(module.training for module in model.modules())
    after = model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert_same(found, localizer.localize(scene(), (tone(), RATE), labels=LABELS))


_FLIPS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "mirror": lambda array: array[:, ::-1].copy(),
    "turn": lambda array: array[::-1, ::-1].copy(),
}


@pytest.mark.parametrize("flip", ["mirror", "turn"])
def test_flip_average_of_a_flipped_picture_is_the_flipped_map(
    checkpoint: Path, localizer: Localizer, flip: str
) -> None:
    image, sound, turned = scene(224, 288), (tone(0.5), RATE), _FLIPS[flip]

    def displaced(of: Localizer) -> float:
        """Distance of the flipped picture's maps from the flipped maps, relative to contrast."""
        maps = of.localize(image, sound, labels=LABELS)
        others = of.localize(turned(image), sound, labels=LABELS)
        return max(
            float(np.abs(turned(one.grid) - other.grid).max() / np.ptp(one.grid))
            for one, other in zip(maps.sources, others.sources, strict=True)
        )

    averaged = Localizer.from_pretrained(checkpoint, device="cpu", flip_average=flip)
    assert displaced(averaged) < 0.01
    assert displaced(localizer) > 0.1


# Videos


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds; the sound is silent from 1 to 3 s."""
    sound = tone(4.0)
    sound[RATE : 3 * RATE] = 0
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    return make_video(path, count=40, rate=10, size=(64, 48), sound=sound)


def test_a_video_is_walked_through(quick: Localizer, video: Path) -> None:
    found = list(quick.localize_video(video, labels=LABELS))
    assert [moment.time for moment in found] == pytest.approx([0, 1, 2, 3])
    for moment in found:
        assert_well_formed(moment, (48, 64))
        assert moment.label_source == "given"


@pytest.mark.parametrize(
    ("every", "times"),
    [(0.5, [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]), (1.7, [0, 1.7, 3.4]), (100, [0])],
)
def test_moments_are_as_far_apart_as_asked(
    quick: Localizer, video: Path, every: float, times: list[float]
) -> None:
    found = [moment.time for moment in quick.localize_video(video, labels=LABELS, every=every)]
    assert found == pytest.approx(times)


def test_a_silent_stretch_gives_an_empty_result(quick: Localizer, video: Path) -> None:
    found = list(quick.localize_video(video, every=2.0))
    assert [bool(moment.sources) for moment in found] == [True, False]
    empty = found[1]
    assert empty.size == (48, 64)
    assert empty.time == pytest.approx(2.0)
    assert empty.label_source == "detected"
    assert empty.model == found[0].model


@pytest.mark.parametrize(
    ("at", "expected"), [(0.0, (0.0, 0.5)), (0.1, (0.0, 0.5)), (0.5, (0.25, 0.75))]
)
def test_one_moment_is_heard_around(
    quick: Localizer, video: Path, at: float, expected: tuple[float, float]
) -> None:
    (found,) = quick.localize_video(video, labels=LABELS, at=at)
    assert found.time == pytest.approx(at)
    assert found.sources[0].time_range == pytest.approx(expected, abs=1e-3)


def test_at_the_end_the_window_is_shifted_inwards(quick: Localizer, video: Path) -> None:
    (found,) = quick.localize_video(video, labels=LABELS, at=3.95)
    assert found.time == pytest.approx(3.95)
    start, end = found.sources[0].time_range or (0.0, 0.0)
    assert end - start == pytest.approx(0.5, abs=1e-3)
    assert 3.95 <= end <= 4.1


def test_one_moment_equals_that_of_the_series(quick: Localizer, video: Path) -> None:
    series = {round(found.time or 0): found for found in quick.localize_video(video, LABELS)}
    (alone,) = quick.localize_video(video, LABELS, at=3.0)
    assert_same(alone, series[3])


def test_a_video_s_moment_equals_its_picture_and_sound(quick: Localizer, video: Path) -> None:
    from tvsl.media import load_audio, read_frame

    (found,) = quick.localize_video(video, LABELS, at=0.5)
    sound = load_audio(video, RATE, start=0.25, duration=0.5)
    assert_same(found, quick.localize(read_frame(video, 0.5).image, sound, labels=LABELS))


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"at": 99.0}, MediaError, "99"),
        ({"at": -1.0}, TvslError, "-1"),
        ({"at": float("nan")}, TvslError, "nan"),
        ({"at": 2.0, "labels": ["dog"]}, SilentAudioError, r"clip\.mp4"),
        ({"every": 0.0}, UsageError, "0"),
        ({"every": -1.0}, UsageError, "-1"),
        ({"every": float("nan")}, UsageError, "nan"),
        ({"labels": "dog"}, UsageError, "list"),
        ({"labels": ["dog"], "sources": 1}, UsageError, "labels"),
    ],
)
def test_wrong_moments_are_refused(
    quick: Localizer, video: Path, options: dict[str, Any], error: type[TvslError], says: str
) -> None:
    with pytest.raises(error, match=says):
        list(quick.localize_video(video, **options))


def test_a_video_without_sound_is_refused(tmp_path: Path, quick: Localizer) -> None:
    path = make_video(tmp_path / "mute.mp4", count=5)
    with pytest.raises(NoSoundError, match=r"mute\.mp4"):
        list(quick.localize_video(path, LABELS))


def test_results_come_one_by_one(quick: Localizer, video: Path) -> None:
    series = quick.localize_video(video, LABELS, every=0.1)
    assert next(series).time == 0
    assert next(series).time == pytest.approx(0.1)
    series.close()  # type: ignore[attr-defined]


# Pictures side by side


def test_panels_are_encoded_apart(localizer: Localizer) -> None:
    sound, pictures = (tone(), RATE), [scene(224, 224, seed) for seed in (1, 2)]
    both = localizer.encode(np.concatenate(pictures, axis=1), sound, panels=2)
    assert both.size == (224, 448)
    assert (both.tokens.grid, both.tokens.panels) == ((7, 14), 2)
    cells = both.tokens.visual.unflatten(1, (7, 14))
    for place, picture in enumerate(pictures):
        alone = localizer.encode(picture, sound).tokens.visual.unflatten(1, (7, 7))
        part = cells[:, :, 7 * place : 7 * (place + 1)]
        torch.testing.assert_close(part, alone, atol=1e-5, rtol=1e-4)


def test_one_wide_picture_is_something_else(localizer: Localizer) -> None:
    wide, sound = scene(224, 448), (tone(), RATE)
    one = localizer.localize(wide, sound, LABELS)
    two = localizer.localize(wide, sound, LABELS, panels=2)
    assert grids(one).shape == grids(two).shape == (3, 7, 14)
    across = np.abs(grids(one) - grids(two)).max(axis=(0, 1))
    assert 6 <= across.argmax() <= 7  # a seam is convolved where one picture is seen
    assert across.max() > 1e-5
    assert_well_formed(two, (224, 448))


def test_a_video_of_panels(quick: Localizer, video: Path) -> None:
    moments = list(quick.localize_video(video, LABELS, every=2.0, panels=2))
    (alone,) = quick.localize_video(video, LABELS, at=0.0, panels=2)
    assert_same(moments[0], alone)
    assert {moment.size for moment in moments} == {alone.size}


@pytest.mark.parametrize("panels", [0, -1, 3])
def test_panels_that_do_not_fit_are_refused(
    panels: int, quick: Localizer, video: Path, tmp_path: Path
) -> None:
    sound, path = (tone(), RATE), write_picture(tmp_path / "photo.png")
    with pytest.raises(UsageError, match=rf"photo\.png.* 80 pixels wide .* {panels} equal panels"):
        quick.localize(path, sound, panels=panels)
    with pytest.raises(UsageError, match=f"{panels} equal panels"):
        quick.encode(scene(), sound, panels)
    for options in ({}, {"at": 1.0}):
        with pytest.raises(UsageError, match=rf"{video.name}.* {panels} equal panels"):
            next(quick.localize_video(video, LABELS, panels=panels, **options))


# Names


def test_names_are_merged_where_the_localizer_is_told_to(
    checkpoint: Path, localizer: Localizer
) -> None:
    names = ["dog barking", "train", "woman speaking", "man speaking", "rain", "violin"]
    embeddings = localizer.encoder.embed(names)
    cosines = (embeddings @ embeddings.T)[np.triu_indices(len(names), 1)]
    cut = float(cosines.median())
    merging = Localizer.from_pretrained(checkpoint, device="cpu", same_meaning=cut)
    groups = localizer.encoder.vocabulary(names).groups(cut).unique().numel()
    assert 1 < groups < len(names)
    encoded = merging.encode(scene(), (tone(0.3), RATE))
    found = merging.localize_encoded(encoded, vocabulary=names, sources=groups)
    told = [name for source in found.sources for name in (source.label, *source.also)]
    assert sorted(told) == sorted(names)
    with pytest.raises(UsageError):
        merging.localize_encoded(encoded, vocabulary=names, sources=groups + 1)
    # AudioCLIP merges nothing unless it is told to.
    plain = localizer.localize_encoded(encoded, vocabulary=names, sources=len(names))
    assert all(source.also == () for source in plain.sources)


@pytest.mark.parametrize("cosine", [0.0, -0.5, 1.5, float("nan")])
def test_a_cosine_that_cannot_be_is_refused(localizer: Localizer, cosine: float) -> None:
    with pytest.raises(UsageError):
        Localizer(localizer.encoder, localizer.method, "x", same_meaning=cosine)


class Knowing:
    """An encoder that knows which names it has no meaning for, and which are one to it."""

    same_meaning = 0.5

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def without_meaning(self, names: Any) -> tuple[str, ...]:
        return tuple(name for name in names if name.startswith("xq"))


def test_an_encoder_may_know_more_of_names(localizer: Localizer) -> None:
    knowing = Localizer(Knowing(localizer.encoder), localizer.method, "knowing")
    assert knowing.same_meaning == 0.5
    assert localizer.same_meaning == 1.0
    encoded = knowing.encode(scene(), (tone(0.3), RATE))
    found = knowing.localize_encoded(encoded, labels=["dog", "xqzzt", "xq\n"])
    (notice,) = found.notices
    assert "'xqzzt', 'xq\\n'" in notice
    assert "dog" not in notice
    assert knowing.localize_encoded(encoded, labels=["dog"]).notices == ()
    assert localizer.localize_encoded(encoded, labels=["xqzzt"]).notices == ()


def test_a_picture_that_stays_is_encoded_once(
    quick: Localizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video(tmp_path / "still.mp4", count=40, rate=10, size=(64, 48), sound=tone(4.0))
    picture = np.full((48, 64, 3), 99, np.uint8)
    picture[10:30, 20:40] = 200
    noise = np.random.default_rng(0).integers(-2, 3, picture.shape)  # as coding leaves it
    noisy = (picture.astype(np.int16) + noise).astype(np.uint8)
    shown = (picture, picture, noisy, picture[::-1].copy())
    frames = [VideoFrame(float(second), image) for second, image in enumerate(shown)]
    monkeypatch.setattr("tvsl.clip_encoder.iterate_frames", lambda *_: iter(frames))
    alone = [
        quick.localize(frame.image, sound_window(path, frame.time, 0.5, RATE), LABELS)
        for frame in frames
    ]
    counted: list[int] = []
    encode = quick.encoder.encode_frames
    monkeypatch.setattr(
        quick.encoder, "encode_frames", lambda given: (counted.append(1), encode(given))[1]
    )
    found = list(quick.localize_video(path, LABELS))
    assert len(counted) == 2
    np.testing.assert_allclose(grids(found[1]), grids(alone[1]), atol=1e-5)
    np.testing.assert_allclose(grids(found[2]), grids(alone[2]), atol=0.05)
    assert found[2].heard == pytest.approx(alone[2].heard)
    assert not np.allclose(grids(found[2]), grids(found[3]))
