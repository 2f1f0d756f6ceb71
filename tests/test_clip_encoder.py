"""Pictures, sounds and videos in any form, encoded once and asked often."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional as F

from tests.media.media_makers import make_video
from tests.small_model import RATE, scene, tone, write_small_checkpoint
from tvsl import Localization, Localizer, clip_encoder
from tvsl.audioclip.encoder import AudioCLIPEncoder
from tvsl.clip_encoder import SoundStream
from tvsl.encoder import SoundGrid, SoundTokens
from tvsl.errors import MissingFileError, ShapeError, SilentAudioError, TvslError, UsageError
from tvsl.media import Waveform, load_audio
from tvsl.media.center_crop import window_reader
from tvsl.media.video import iterate_frames

LABELS = ["dog barking", "train"]
SOUND = (tone(), RATE)


@pytest.fixture(scope="module")
def localizer(tmp_path_factory: pytest.TempPathFactory) -> Localizer:
    path = write_small_checkpoint(tmp_path_factory.mktemp("model"))
    return Localizer.from_pretrained(path, device="cpu")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds; the last one is silent."""
    sound = tone(3.0) * (np.arange(3 * RATE) < 1.4 * RATE)
    return make_video(tmp_path_factory.mktemp("video") / "v.mp4", count=30, rate=10, sound=sound)


@pytest.fixture
def calls(localizer: Localizer) -> Iterator[mock.Mock]:
    """Calls of the networks that encode."""
    with mock.patch.object(
        AudioCLIPEncoder, "encode_frames", autospec=True, side_effect=AudioCLIPEncoder.encode_frames
    ) as counted:
        yield counted


def floats(values: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(values).float() / 255


@pytest.mark.parametrize(
    "form",
    [
        lambda image: torch.from_numpy(image),
        lambda image: torch.from_numpy(image).permute(2, 0, 1),
        lambda image: floats(image),
        lambda image: floats(image).permute(2, 0, 1).requires_grad_(),
        lambda image: floats(image).double().numpy(),
        lambda image: image.astype(np.float32) / 255,
    ],
    ids=["bytes", "channels first", "floats", "gradients", "double", "numpy"],
)
def test_pictures_of_torch_and_floats(localizer: Localizer, form: Callable[[Any], Any]) -> None:
    expected = localizer.localize(scene(), SOUND, LABELS)
    assert localizer.localize(form(scene()), SOUND, LABELS) == expected


def test_half_precision_is_a_level_off_at_most(localizer: Localizer) -> None:
    picture = floats(scene()).permute(2, 0, 1).bfloat16()
    found = localizer.localize(picture, SOUND, LABELS)
    assert found.image().astype(int) == pytest.approx(scene().astype(int), abs=1)
    grey = localizer.localize(floats(scene())[:, :, 0], SOUND, LABELS)
    assert localizer.localize(floats(scene())[None, :, :, 0], SOUND, LABELS) == grey


@pytest.mark.parametrize(
    ("picture", "says"),
    [
        (floats(scene()) * 255, "Divide it by"),
        (floats(scene()) * 2 - 1, "Undo the normalisation"),
        (np.full((4, 4, 3), np.nan, np.float32), "not finite"),
        (np.full((4, 4, 3), np.inf), "not finite"),
        (torch.zeros(2, 3, 8, 8), r"pictures\[0\]"),
        (torch.zeros(5, 8, 8), "uint8"),
        (torch.zeros(3, 0, 8), "uint8"),
        (torch.zeros(3, 8, 8, dtype=torch.int64), "uint8"),
        (torch.zeros(()), "uint8"),
        (torch.zeros(3, 8, 8).to_sparse(), "dense"),
        (torch.zeros(3, 8, 8, device="meta"), "dense"),
        (torch.zeros(3, 8, 8, dtype=torch.complex64), "uint8"),
        ([[0]], "a tensor"),
        (None, "a tensor"),
    ],
)
def test_bad_pictures_are_named(localizer: Localizer, picture: Any, says: str) -> None:
    with pytest.raises(ShapeError, match=says):
        localizer.localize(picture, SOUND, LABELS)


@pytest.mark.parametrize(
    "form",
    [
        lambda stereo: (stereo, RATE),
        lambda stereo: (stereo.T, RATE),
        lambda stereo: (torch.from_numpy(stereo), RATE),
        lambda stereo: (torch.from_numpy(stereo).T.double(), RATE),
        lambda stereo: {"array": stereo, "sampling_rate": RATE, "path": None},
        lambda stereo: {"array": stereo.mean(axis=0).tolist(), "sampling_rate": RATE},
        lambda stereo: {
            "array": torch.from_numpy(stereo.mean(axis=0))[None],
            "sampling_rate": RATE,
        },
    ],
    ids=["(C, S)", "(S, C)", "tensor", "tensor (S, C)", "dict", "list", "mono (1, S)"],
)
def test_sounds_in_every_form(form: Callable[[Any], Any]) -> None:
    # Halves: their sum is exact.
    stereo = np.stack([tone(), 0.5 * tone()])
    expected = load_audio((np.ascontiguousarray(stereo.T), RATE), RATE).samples
    np.testing.assert_allclose(load_audio(form(stereo), RATE).samples, expected, atol=1e-7)


@pytest.mark.parametrize(
    ("sound", "says"),
    [
        (tone(), "no sampling rate"),
        (torch.from_numpy(tone()), "no sampling rate"),
        ({"array": tone()}, "no 'sampling_rate'"),
        ({"array": tone(), "sampling_rate": None}, "no 'sampling_rate'"),
        ({"sampling_rate": RATE}, "no 'array'"),
        ({"array": [], "sampling_rate": RATE}, "one sample"),
        ({"array": [[0.1, 0.2], [0.1]], "sampling_rate": RATE}, "differ in length"),
        ((torch.zeros(2, 2, 100), RATE), "several sounds one"),
        ((torch.full((1, 100), float("nan")), RATE), "not finite"),
        ((1e4 * torch.from_numpy(tone()), RATE), "full scale"),
        ((torch.zeros(200, 300), RATE), "channels"),
        ((torch.zeros(300, device="meta"), RATE), "dense"),
        ((tone(), 44_100.0), r"\(samples, 44100\)"),
        (None, r"\(samples, 44100\)"),
    ],
)
def test_bad_sounds_are_named(localizer: Localizer, sound: Any, says: str) -> None:
    with pytest.raises(ShapeError, match=says):
        localizer.localize(scene(), sound, LABELS)


def test_a_video_is_encoded_once_and_asked_often(
    localizer: Localizer, video: Path, calls: mock.Mock
) -> None:
    encoded = list(localizer.encode_video(video))
    assert [one.time for one in encoded] == [0.0, 1.0, 2.0]
    assert [one.tokens is None for one in encoded] == [False, False, True]
    assert calls.call_count == 2
    for labels in (LABELS, ["siren"], None):
        asked = [localizer.localize_encoded(one, labels) for one in encoded]
        assert calls.call_count == 2
        with mock.patch.object(AudioCLIPEncoder, "encode_frames", calls.side_effect):
            assert asked == list(localizer.localize_video(video, labels))
    assert [len(found.sources) > 0 for found in asked] == [True, True, False]
    assert "nothing sounds" in asked[2].notices[-1]


def test_the_window_of_the_moment_before_is_heard_once(localizer: Localizer, video: Path) -> None:
    given = AudioCLIPEncoder.encode_sounds
    with mock.patch.object(
        AudioCLIPEncoder, "encode_sounds", autospec=True, side_effect=given
    ) as heard:
        first, second, _ = localizer.encode_video(video)  # both hear from 0 to the silence
    assert first.time_range == second.time_range
    assert heard.call_count == 1
    assert torch.equal(first.require_tokens().audio, second.require_tokens().audio)


class Sums:
    """A stand-in for an encoder: a column is the sum of the 15 samples from its tenth on.

    With ``margin`` columns beside it, it is the sum of theirs too, as far as they were given.
    """

    def __init__(self, margin: int = 0) -> None:
        self.sound_grid = SoundGrid(10, 5, margin)
        self.given: list[int] = []

    def encode_columns(self, waveforms: torch.Tensor) -> torch.Tensor:
        self.given.append(waveforms.shape[1])
        missing = 10 * self.sound_grid.columns(waveforms.shape[1]) + 5 - waveforms.shape[1]
        sums = F.pad(waveforms, (0, missing)).unfold(1, 15, 10).sum(dim=-1)
        reach = 2 * self.sound_grid.margin + 1
        return F.avg_pool1d(sums, reach, 1, reach // 2, count_include_pad=True) * reach

    def pool_columns(self, columns: torch.Tensor) -> SoundTokens:
        return SoundTokens(columns[..., None], columns.mean(dim=1, keepdim=True))


def sums(samples: NDArray[np.float32], column: int, margin: int) -> float:
    """A column of the whole sound, of which the last one is filled up with silence."""
    last = SoundGrid(10, 5, margin).columns(samples.size) - 1
    heard = range(max(0, column - margin), min(last, column + margin) + 1)
    return float(sum(samples[10 * one : 10 * one + 15].sum() for one in heard))


@pytest.mark.parametrize("margin", [0, 2])
@pytest.mark.parametrize("piece", [1, 7, 64])
@pytest.mark.parametrize("size", [997, 1000, 1005])
def test_windows_of_a_stream_are_columns_of_the_whole_sound(
    margin: int, piece: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clip_encoder, "PIECE", piece)
    samples = np.random.default_rng(0).integers(-9, 9, size).astype(np.float32)
    encoder = Sums(margin)
    stream = SoundStream(encoder, window_reader(Waveform(samples, 1000), 1000))  # type: ignore[arg-type]
    count = encoder.sound_grid.columns(size)
    for begin in (0, 0, 20, 33, 49, 200, 500, 460, size - 50, size - 15, size - 2, 10):
        length = min(45, size - begin)
        found = stream.hear(begin, length).tokens[0, :, 0].tolist()
        first, stop = round(begin / 10), round(begin / 10) + encoder.sound_grid.columns(length)
        stop = min(stop, count)
        first = min(first, stop - 1)
        expected = [sums(samples, column, margin) for column in range(first, stop)]
        assert found[-len(expected) :] == expected
        assert len(found) <= encoder.sound_grid.columns(length)


def test_a_long_sound_is_encoded_once_in_pieces_as_far_as_it_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clip_encoder, "PIECE", 50)
    encoder = Sums(2)
    read = window_reader(Waveform(np.ones(100_000, np.float32), 1000), 1000)
    stream = SoundStream(encoder, read, until=20_200)  # type: ignore[arg-type]
    for begin in range(0, 20_000, 20):  # windows of 8 columns, 2 columns apart
        stream.hear(begin, 85)
    assert max(encoder.given) <= (50 + 4) * 10 + 5
    assert 20_000 < sum(encoder.given) < 30_000  # one by one they are 85,000
    with pytest.raises(UsageError, match="every window by itself"):
        SoundStream(object(), read)  # type: ignore[arg-type]


def test_a_video_whose_sound_is_encoded_once(localizer: Localizer, video: Path) -> None:
    stream = Localizer(localizer.encoder, localizer.method, "stream", audio_stream=True)
    given = AudioCLIPEncoder.encode_columns
    with mock.patch.object(
        AudioCLIPEncoder, "encode_columns", autospec=True, side_effect=given
    ) as heard:
        found = list(stream.encode_video(video, every=0.25))
    assert heard.call_count == 1
    apart = list(localizer.encode_video(video, every=0.25))
    assert [one.time_range for one in found] == [one.time_range for one in apart]
    for one, other in zip(found, apart, strict=True):
        if other.tokens is None:
            assert one.tokens is None
            continue
        assert torch.equal(one.require_tokens().visual, other.tokens.visual)
        assert one.require_tokens().audio.shape == other.tokens.audio.shape
        cosine = F.cosine_similarity(one.require_tokens().sound, other.tokens.sound)
        assert 0.5 < cosine < 1 - 1e-7  # much the same sound, heard in another context
    assert localizer.localize_encoded(found[0], LABELS).sources
    frames = [scene()] * 3
    moments = list(stream.localize_frames(frames, [0, 0.2, 0.4], SOUND, LABELS))
    assert [bool(moment.sources) for moment in moments] == [True, True, True]


def test_windows_that_share_nothing_are_not_streamed(localizer: Localizer, video: Path) -> None:
    stream = Localizer(localizer.encoder, localizer.method, "stream", audio_stream=True)
    with pytest.raises(UsageError, match="share no sound"):
        list(stream.encode_video(video, every=6))
    one, other = (next(l.encode_video(video, at=1)) for l in (stream, localizer))  # noqa: E741
    assert torch.equal(one.require_tokens().sound, other.require_tokens().sound)
    with pytest.raises(UsageError, match="every window by itself"):
        Localizer.from_pretrained("mini", device="cpu", audio_stream=True)


def test_times_of_a_video_exclude_each_other(localizer: Localizer, video: Path) -> None:
    with pytest.raises(UsageError, match="exclude"):
        localizer.encode_video(video, at=1, every=1)
    with pytest.raises(UsageError, match="start"):
        localizer.encode_video(video, at=1, start=1)
    (silent,) = localizer.encode_video(video, at=2.5)
    assert localizer.localize_encoded(silent, LABELS).sources == ()
    with pytest.raises(SilentAudioError, match="Nothing sounds within") as caught:
        next(localizer.localize_video(video, LABELS, at=2.5))
    assert caught.value.path == video


@pytest.mark.parametrize("kind", ["list", "array", "tensor", "iterator", "pillow"])
def test_decoded_frames_give_what_the_video_gives(
    localizer: Localizer, video: Path, kind: str
) -> None:
    frames = list(iterate_frames(video, 0.5, 0.0, None, localizer.limits))
    images, times = [one.image for one in frames], [one.time for one in frames]
    forms: dict[str, Callable[[], Any]] = {
        "list": lambda: images,
        "array": lambda: np.stack(images),
        "tensor": lambda: torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2),
        "iterator": lambda: iter(images),
        "pillow": lambda: map(Image.fromarray, images),
    }
    sound = load_audio(video, localizer.encoder.sample_rate)
    given = (torch.from_numpy(sound.samples), sound.rate)
    found = list(localizer.localize_frames(forms[kind](), times, given, LABELS))
    assert found == list(localizer.localize_video(video, LABELS, every=0.5))
    assert len(found[0].sources) == 2
    assert found[0].overlay(images[0]).shape == (360, 480, 3)
    with pytest.raises(UsageError, match="does not know its picture"):
        found[0].overlay()


def test_one_array_that_is_filled_again_is_another_picture(localizer: Localizer) -> None:
    buffer = scene().copy()

    def frames() -> Iterator[NDArray[np.uint8]]:
        for seed in (0, 1):
            buffer[:] = scene(seed=seed)[:, ::-1] if seed else scene()
            yield buffer

    sound = (tone(3.0), RATE)
    apart = [scene(), scene(seed=1)[:, ::-1]]
    found = list(localizer.localize_frames(frames(), [0.5, 1.5], sound, LABELS))
    assert found == list(localizer.localize_frames(apart, [0.5, 1.5], sound, LABELS))
    assert found[0].sources != found[1].sources


def test_a_sound_that_starts_later(localizer: Localizer, video: Path) -> None:
    whole = load_audio(video, localizer.encoder.sample_rate)
    part = load_audio(video, localizer.encoder.sample_rate, start=0.5)
    one = next(localizer.localize_frames([scene()], [1.2], whole, LABELS))
    other = next(localizer.localize_frames([scene()], [1.2], part, LABELS))
    assert one.heard == (0.2, pytest.approx(1.4, abs=0.1))
    assert other.heard is not None
    assert other.heard[1] == pytest.approx(one.heard[1])
    with pytest.raises(SilentAudioError):
        next(localizer.localize_frames([scene()], [0.0], part, LABELS))


@pytest.mark.parametrize(
    ("times", "says"),
    [
        ([], "rise"),
        ([1.0, 1.0], "rise"),
        ([1.0, 0.5], "rise"),
        ([-1.0, 0.5], "rise"),
        ([0.0, float("nan")], "rise"),
        (["soon", 1.0], "no numbers"),
        (None, "no numbers"),
        ([0.0], "more pictures than 1"),
        ([0.0, 1.0, 2.0], "more times than 2"),
    ],
)
def test_bad_times_are_named(localizer: Localizer, times: list[float], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        list(localizer.localize_frames([scene(), scene()], times, SOUND, LABELS))


def test_a_bad_frame_is_numbered(localizer: Localizer) -> None:
    found = localizer.localize_frames([scene(), floats(scene()) * 9], [0, 1], SOUND, LABELS)
    next(found)
    with pytest.raises(ShapeError, match="Frame 1: "):
        next(found)


def near(one: Localization, other: Localization) -> None:
    assert [s.label for s in one.sources] == [s.label for s in other.sources]
    assert one.size == other.size
    for first, second in zip(one.sources, other.sources, strict=True):
        np.testing.assert_allclose(first.grid, second.grid, atol=1e-4)


def test_a_batch_gives_what_each_gives(localizer: Localizer, calls: mock.Mock) -> None:
    images = [scene(), scene(40, 80), scene(seed=1), scene(seed=2)]
    sounds = [SOUND, SOUND, (tone(frequency=300), RATE), (tone(0.5), RATE)]
    labels = [LABELS, ["siren"], LABELS[:1], LABELS]
    together = localizer.localize_batch(images, sounds, labels)
    assert calls.call_count == 3  # the first and the third have one shape
    for found, image, sound, names in zip(together, images, sounds, labels, strict=True):
        near(found, localizer.localize(image, sound, names))
        assert found.picture is not None
    calls.reset_mock()
    assert localizer.localize_batch(images, sounds, labels, batch=1)[2] == together[2]
    assert calls.call_count == 4
    detected = localizer.localize_batch(images[:2], [SOUND, (0 * tone(), RATE)], sources=1)
    assert [len(found.sources) for found in detected] == [1, 0]
    assert localizer.localize_batch([], []) == []


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (([scene()], []), UsageError, "1 pictures, 0 sounds and no lists"),
        (([scene()], [SOUND], ["dog", "cat"]), UsageError, r"\[labels\] \* N"),
        (([scene()], [SOUND], ["dog"]), UsageError, "sequence"),
        (([scene(), scene()], [SOUND, tone()]), ShapeError, "Item 1: The sound has no sampling"),
        (([scene(), "gone.png"], [SOUND] * 2), MissingFileError, "gone.png"),
        (([scene()] * 2, [SOUND, (0 * tone(), RATE)], [LABELS] * 2), SilentAudioError, "Item 1: "),
    ],
)
def test_bad_batches_are_named(
    localizer: Localizer, arguments: Any, error: type[TvslError], says: str
) -> None:
    with pytest.raises(error, match=says):
        localizer.localize_batch(*arguments)
    with pytest.raises(UsageError, match="holds nothing"):
        localizer.localize_batch([scene()], [SOUND], batch=0)


def test_what_is_encoded_on_one_device_is_asked_on_another(localizer: Localizer) -> None:
    encoded = localizer.encode(scene(), SOUND)
    before = localizer.localize_encoded(encoded, LABELS)
    assert localizer.to("cpu") is localizer
    assert localizer.to(torch.device("cpu")).localize_encoded(encoded, LABELS) == before
    with pytest.raises(UsageError, match="toaster"):
        localizer.to("toaster")
