import numpy as np
import pytest
from media_makers import chirp, make_sound

from tvsl.media import Waveform, is_silent, load_audio, sound_window
from tvsl.media.downmix import CELL, mix_down

RATE = 44_100


def rms(samples):
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def noise(seconds, seed):
    values = np.random.default_rng(seed).standard_normal(round(seconds * RATE)) * 0.1
    return values.astype(np.float32)


@pytest.mark.parametrize(
    ("ending", "codec", "kind"),
    [
        ("wav", "pcm_s16le", "s16"),
        ("mp3", "libmp3lame", "fltp"),
        ("m4a", "aac", "fltp"),
        ("flac", "flac", "s16"),
    ],
)
def test_opposite_polarity_is_heard_from_files_and_in_windows(tmp_path, ending, codec, kind):
    left = chirp(6, RATE)
    path = tmp_path / f"anti.{ending}"
    make_sound(path, np.stack([left, -left]), RATE, codec, layout="stereo", kind=kind)
    heard = load_audio(path)
    part = slice(RATE, 5 * RATE)
    assert rms(heard.samples[part]) == pytest.approx(rms(left[part]), rel=0.1)
    assert np.corrcoef(heard.samples[part], left[part])[0, 1] > 0.99
    for center in (1.3, 3.0, 4.49):
        window = sound_window(path, center, 0.7)
        first = round(window.start * RATE)
        same = heard.samples[first : first + window.samples.size]
        assert np.abs(window.samples - same).max() < 1e-3


def test_arrays_and_files_are_mixed_alike(tmp_path):
    left = chirp(3, RATE)
    channels = np.stack([left, np.where(np.arange(left.size) < RATE, left, -left)])
    path = make_sound(tmp_path / "s.wav", channels, RATE, "pcm_f32le", layout="stereo", kind="flt")
    array = load_audio((channels.T, RATE))
    assert np.array_equal(load_audio(path).samples, array.samples)
    assert not is_silent(Waveform(array.samples[2 * RATE :], RATE))


@pytest.mark.parametrize("gain", [1.0, 0.95, 0.85, 0.8])
def test_channels_that_nearly_cancel_are_kept(gain):
    left = noise(2, 1)
    mixed = mix_down(np.stack([left, -gain * left]), RATE)
    assert rms(mixed) > 0.8 * rms(left)


@pytest.mark.parametrize("weak", [0.0, 0.01, 0.1])
def test_the_side_of_a_sound_is_kept_beside_a_weak_middle(weak):
    middle, side = weak * noise(2, 1), noise(2, 2)
    mixed = mix_down(np.stack([middle + side, middle - side]), RATE)
    assert np.corrcoef(mixed, side)[0, 1] > 0.9


@pytest.mark.parametrize(
    "weights",
    [
        [[1, 0], [-1, 0], [0, 1]],
        [[0, 1], [1, 0], [-1, 0]],
        [[1, 0], [-1, 0], [1, 0], [-1, 0]],
        [[1, 0], [-1, 0], [0, 1], [0, -1]],
        [[1, 0], [0, 1], [-1, -1]],
        [[1, 0], [-1, 0], [0, 1], [0, 0], [0, 1], [0, 1]],
    ],
)
def test_any_number_of_channels(weights):
    parts = np.stack([noise(1, 1), noise(1, 2)])
    channels = (np.array(weights, np.float32) @ parts).astype(np.float32)
    mixed = mix_down(channels, RATE)
    if weights[-1] != [-1, -1]:
        for part, there in zip(parts, np.abs(np.array(weights)).sum(0), strict=True):
            share = abs(float(part @ mixed) / float(part @ part)) * len(weights)
            assert share > 0.5 * there
    assert rms(mixed) > 0.2 * rms(channels)


def test_only_the_part_that_cancels_is_mended_and_nothing_clicks():
    left = 0.5 * np.sin(2 * np.pi * 200 * np.arange(4 * RATE) / RATE).astype(np.float32)
    sign = np.ones_like(left)
    sign[2 * RATE :] = -1
    mixed = mix_down(np.stack([left, sign * left]), RATE)
    assert np.array_equal(mixed[: 2 * RATE], left[: 2 * RATE])
    assert np.abs(mixed[int(2.1 * RATE) :] - left[int(2.1 * RATE) :]).max() < 1e-6
    assert np.abs(np.diff(mixed)).max() < 0.03


def test_normal_sound_is_averaged_to_the_bit():
    rng = np.random.default_rng(0)
    for count in (2, 3, 6):
        for mixture in (0.0, 0.5, -0.5, 1.0):
            base = noise(1, 9)
            channels = np.stack(
                [noise(1, seed) + (mixture if seed else 1) * base for seed in range(count)]
            )
            channels *= rng.uniform(0.2, 1, (count, 1)).astype(np.float32)
            average = np.add.reduce(channels, axis=0) / np.float32(count)
            assert np.array_equal(mix_down(channels, RATE), average)
    one = chirp(1, RATE)
    assert np.array_equal(mix_down(np.stack([one, 0 * one]), RATE), one / 2)
    assert np.array_equal(mix_down(one[None], RATE), one)


def test_a_constant_offset_does_not_hide_that_channels_cancel():
    left = noise(1, 1)
    mixed = mix_down(np.stack([left + 0.2, 0.2 - left]), RATE)
    assert rms(mixed - mixed.mean()) > 0.9 * rms(left)


def test_true_silence_stays_silent():
    assert not mix_down(np.zeros((2, RATE), np.float32), RATE).any()
    assert float(CELL) <= 0.5  # the shortest span in which presence is decided
