"""Moments of a video and their sounds: scenes of the made-up world, cut into one video."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tvsl import Localization, Localizer
from tvsl.errors import SilentAudioError
from tvsl.synthetic.world import World, WorldScene

SOUND_RATE = 16_000
PICTURES_PER_SECOND = 4
SECONDS = 6
WORLD = World("test", off_screen=0.0, twins=0.0)


@pytest.fixture(scope="module")
def mini() -> Localizer:
    return Localizer.from_pretrained("mini", device="cpu")


def lasting(scene: WorldScene, seconds: float) -> NDArray[np.float32]:
    count = round(seconds * SOUND_RATE)
    return np.tile(scene.waveform, -(-count // len(scene.waveform)))[:count]


def write(path: Path, parts: list[tuple[NDArray[np.uint8], NDArray[np.float32]]]) -> Path:
    """Pictures that are shown for as long as the sound beside each, in MKV without loss."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=PICTURES_PER_SECOND)
        video.height, video.width = parts[0][0].shape[:2]
        video.pix_fmt = "bgr0"
        sound = container.add_stream("pcm_s16le", rate=SOUND_RATE, layout="mono")
        for picture, samples in parts:
            for _ in range(round(len(samples) / SOUND_RATE * PICTURES_PER_SECOND)):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr0")
                container.mux(video.encode(frame))
        container.mux(video.encode(None))
        whole = np.concatenate([samples for _, samples in parts])
        values = np.rint(whole * 32767).astype(np.int16)[None]
        block = av.AudioFrame.from_ndarray(values, format="s16", layout="mono")
        block.sample_rate, block.time_base, block.pts = SOUND_RATE, Fraction(1, SOUND_RATE), 0
        container.mux(sound.encode(block))
        container.mux(sound.encode(None))
    return path


@pytest.fixture(scope="module")
def scenes() -> tuple[WorldScene, WorldScene]:
    """Two scenes of different classes."""
    return WORLD.scene(1), WORLD.scene(2)


@pytest.fixture(scope="module")
def parted(tmp_path_factory: pytest.TempPathFactory, scenes: tuple[WorldScene, WorldScene]) -> Path:
    """Scene A from 0 to 6 s, its picture in silence from 6 to 12 s, scene B from 12 to 18 s."""
    first, second = scenes
    silence = np.zeros(SECONDS * SOUND_RATE, np.float32)
    return write(
        tmp_path_factory.mktemp("parted") / "parted.mkv",
        [
            (first.picture, lasting(first, SECONDS)),
            (first.picture, silence),
            (second.picture, lasting(second, SECONDS)),
        ],
    )


def labels(moment: Localization) -> set[str]:
    return {source.label for source in moment.sources}


@pytest.mark.parametrize("window", [None, 5.0])
def test_silence_between_two_scenes_has_no_sources(
    mini: Localizer, parted: Path, scenes: tuple[WorldScene, WorldScene], window: float | None
) -> None:
    localizer = Localizer(mini.encoder, mini.method, "mini", window=window)
    moments = list(localizer.localize_video(parted, every=0.5))
    assert [moment.time for moment in moments] == pytest.approx([k / 2 for k in range(36)])
    first, second = (set(scene.labels) for scene in scenes)
    alone = [mini.localize(scene.picture, (scene.waveform, SOUND_RATE)) for scene in scenes]
    for moment in moments:
        time = moment.time or 0.0
        if 6.25 < time < 11.75:
            assert not moment.sources
            assert moment.heard is None
            continue
        assert moment.heard is not None
        # Nothing of the one scene is heard in the other.
        begin, end = (0, 6) if time < 9 else (12, 18)
        assert begin <= moment.heard[0] < moment.heard[1] <= end
        if time <= 5.5 or time >= 12:
            assert (first if time < 9 else second) <= labels(moment)
            assert labels(moment) <= labels(alone[0 if time < 9 else 1]) | first | second
            assert not labels(moment) & ((second - first) if time < 9 else (first - second))


@pytest.mark.parametrize(("at", "sounds"), [(5.8, True), (6.5, False), (9.0, False), (12.0, True)])
def test_one_moment_follows_the_same_rule(
    mini: Localizer, parted: Path, at: float, sounds: bool
) -> None:
    if sounds:
        (found,) = mini.localize_video(parted, at=at)
        assert found.sources
        return
    (found,) = mini.localize_video(parted, at=at)
    assert (found.sources, found.heard, found.time) == ((), None, at)
    assert f"around {at:g} s" in found.notices[0]
    with pytest.raises(SilentAudioError, match=f"around {at:g} s"):
        list(mini.localize_video(parted, at=at, labels=["red square"]))


def test_near_a_change_a_moment_has_the_classes_of_its_own_scene(
    mini: Localizer, tmp_path: Path
) -> None:
    scenes = [WORLD.scene(number) for number in range(3, 9)]
    path = write(tmp_path / "changes.mkv", [(s.picture, lasting(s, 3.0)) for s in scenes])
    right = wrong = asked = 0
    for moment in mini.localize_video(path, every=0.5):
        number, inside = divmod(moment.time or 0.0, 3.0)
        if inside < 0.25:
            continue  # the very change
        own = set(scenes[int(number)].labels)
        neighbours = {
            label
            for other in scenes[max(0, int(number) - 1) : int(number) + 2]
            for label in other.labels
        }
        asked += 1
        right += own <= labels(moment)
        wrong += bool(labels(moment) & (neighbours - own))
    assert asked == 30
    assert right >= 0.95 * asked
    assert wrong <= 0.05 * asked


def test_what_is_not_known_is_no_source(mini: Localizer, tmp_path: Path) -> None:
    """Noise over a picture of plain grey."""
    noise = 0.05 * np.random.default_rng(0).standard_normal(4 * SOUND_RATE).astype(np.float32)
    grey = np.full((112, 112, 3), 128, np.uint8)
    path = write(tmp_path / "noise.mkv", [(grey, noise)])
    cut = mini.method.config.detection_threshold
    assert cut is not None
    single = mini.localize(grey, (noise, SOUND_RATE))
    assert single.sources == ()
    assert single.candidate is not None
    assert single.candidate.score < single.candidate.threshold == cut
    series = list(mini.localize_video(path))
    assert [moment.sources for moment in series] == [()] * 4
    assert all(moment.heard is not None for moment in series)
    # A number that is asked for is given, whatever the scores.
    assert all(len(moment.sources) == 2 for moment in mini.localize_video(path, sources=2))


@pytest.mark.parametrize(
    ("late", "length", "sounding"),
    [(2.0, 2.0, [2, 3, 4]), (0.0, 2.0, [0, 1, 2]), (1.0, 2.0, [1, 2, 3])],
)
def test_a_sound_that_begins_late_or_ends_early(
    mini: Localizer, tmp_path: Path, late: float, length: float, sounding: list[int]
) -> None:
    scene = WORLD.scene(1)
    sound = np.zeros(round((late + length) * SOUND_RATE), np.float32)
    sound[round(late * SOUND_RATE) :] = lasting(scene, length)
    path = tmp_path / "clip.mkv"
    write(path, [(scene.picture, np.zeros(6 * SOUND_RATE, np.float32))])
    # The picture lasts 6 s; its sound is replaced.
    with av.open(str(path)) as source, av.open(str(tmp_path / "b.mkv"), "w") as target:
        video = target.add_stream_from_template(source.streams.video[0])
        audio = target.add_stream("pcm_s16le", rate=SOUND_RATE, layout="mono")
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = video
                target.mux(packet)
        values = np.rint(sound[round(late * SOUND_RATE) :] * 32767).astype(np.int16)[None]
        block = av.AudioFrame.from_ndarray(values, format="s16", layout="mono")
        block.sample_rate, block.time_base = SOUND_RATE, Fraction(1, SOUND_RATE)
        block.pts = round(late * SOUND_RATE)
        target.mux(audio.encode(block))
        target.mux(audio.encode(None))
    moments = list(mini.localize_video(tmp_path / "b.mkv"))
    assert len(moments) == 6
    assert [k for k, moment in enumerate(moments) if moment.heard] == sounding
    for moment in moments:
        if moment.heard:
            assert late - 0.01 <= moment.heard[0] < moment.heard[1] <= late + length + 0.01


@pytest.mark.parametrize(
    ("every", "window", "expected"),
    [
        (None, None, (1.0, 2.0, 0.5)),
        (0.1, None, (0.1, 1.0, 0.5)),
        (0.5, None, (0.5, 1.0, 0.5)),
        (2.0, None, (2.0, 4.0, 1.0)),
        (30.0, None, (30.0, 5.0, 5.0)),
        (0.5, 5.0, (0.5, 5.0, 0.5)),
        (1.0, 0.2, (1.0, 0.2, 0.2)),
    ],
)
def test_the_resolution_follows_the_step(
    mini: Localizer,
    every: float | None,
    window: float | None,
    expected: tuple[float, float, float],
) -> None:
    found = Localizer(mini.encoder, mini.method, "mini", window=window).resolution(every=every)
    assert (found.step, found.window, found.span) == expected
