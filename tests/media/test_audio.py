import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from media_makers import chirp, make_sound, make_video, real_video, write_wav

from tvsl.errors import (
    MediaError,
    MediaLimitError,
    MediaWarning,
    NoSoundError,
    ShapeError,
    SilentAudioError,
    UnreadableMediaError,
    UsageError,
)
from tvsl.media import (
    MediaLimits,
    Waveform,
    is_silent,
    load_audio,
    media_type_of,
    require_sound,
    resample,
    sound_window,
)
from tvsl.media.waveform import audible_mask

RATE = 44_100
KINDS = [
    ("wav", "pcm_s16le", "s16", 44_100, 0.001),
    ("flac", "flac", "s16", 48_000, 0.001),
    ("mp3", "libmp3lame", "fltp", 44_100, 0.05),
    ("m4a", "aac", "fltp", 44_100, 0.05),
    ("ogg", "libopus", "flt", 48_000, 0.05),
    ("aac", "aac", "fltp", 44_100, 0.05),
]


def lag(heard, expected, rate=44_100):
    """By how many seconds one sound comes later than another of the same length."""
    size = 2 * heard.size
    product = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(expected, size))
    shift = int(np.argmax(np.fft.irfft(product, size)))
    return (shift if shift < size // 2 else shift - size) / rate


@pytest.mark.parametrize(
    ("rate", "layout"),
    [(8_000, "stereo"), (48_000, "5.1"), (44_100, "mono"), (96_000, "7.1"), (22_050, "stereo")],
)
def test_any_rate_and_layout_becomes_mono_at_44100(tmp_path, rate, layout):
    path = make_sound(tmp_path / "sound.wav", chirp(1, rate), rate, layout=layout)
    waveform = load_audio(path)
    assert waveform.rate == 44_100
    assert waveform.samples.size == pytest.approx(44_100, abs=1)
    inner = slice(500, -500)
    assert np.abs(waveform.samples - chirp(1, 44_100))[inner].max() < 0.005


def test_channels_are_averaged(tmp_path):
    left, right = chirp(0.5, 44_100), np.zeros(22_050, np.float32)
    path = make_sound(tmp_path / "two.wav", np.stack([left, right]), 44_100, layout="stereo")
    assert np.abs(load_audio(path).samples - left / 2).max() < 1e-4
    assert np.abs(load_audio((np.stack([left, right], 1), 44_100)).samples - left / 2).max() < 1e-6


@pytest.mark.parametrize(
    ("codec", "kind", "error"),
    [
        ("pcm_u8", "u8", 0.01),
        ("pcm_s16le", "s16", 1e-4),
        ("pcm_s24le", "s32", 1e-6),
        ("pcm_s32le", "s32", 1e-6),
        ("pcm_f32le", "flt", 1e-7),
        ("pcm_f64le", "dbl", 1e-7),
    ],
)
def test_sample_formats_share_one_scale(tmp_path, codec, kind, error):
    path = make_sound(tmp_path / "sound.wav", chirp(0.3, 44_100), 44_100, codec, kind=kind)
    assert np.abs(load_audio(path).samples - chirp(0.3, 44_100)).max() <= error


@pytest.mark.parametrize(("ending", "codec", "kind", "rate", "error"), KINDS)
def test_window_equals_the_same_stretch_of_the_whole(tmp_path, ending, codec, kind, rate, error):
    path = make_sound(tmp_path / f"long.{ending}", chirp(12, rate), rate, codec, kind=kind)
    whole = load_audio(path)
    truth = chirp(12, 44_100)
    # Raw AAC has no place for its encoder's delay of 1024 samples, so it is heard.
    late = 1024 / rate if ending == "aac" else 0.0
    assert whole.duration == pytest.approx(12, abs=0.06)
    for start in (0.0, 0.37, 5.123, 11.2):
        part = load_audio(path, start=start, duration=0.6)
        assert part.samples.size == round(0.6 * 44_100)
        assert part.start == pytest.approx(start, abs=1 / 44_100)
        first = round(start * 44_100)
        assert np.abs(part.samples - whole.samples[first : first + part.samples.size]).max() < error
        stretch = truth[first : first + part.samples.size]
        assert abs(lag(part.samples, stretch) - late) < 0.003


# AC-3 is decoded with noise of its own in the last bit.
WINDOWED = [
    ("wav", "pcm_s16le", "s16", 48_000, "mono", 1e-6),
    ("flac", "flac", "s16", 44_100, "mono", 1e-6),
    ("ogg", "flac", "s16", 44_100, "mono", 1e-6),
    ("mka", "pcm_s16le", "s16", 44_100, "mono", 1e-6),
    ("mka", "flac", "s16", 44_100, "mono", 1e-6),
    ("mp3", "libmp3lame", "fltp", 44_100, "mono", 1e-3),
    ("mka", "libmp3lame", "fltp", 44_100, "mono", 1e-3),
    ("avi", "libmp3lame", "fltp", 44_100, "mono", 1e-3),
    ("m4a", "aac", "fltp", 44_100, "mono", 1e-3),
    ("mka", "aac", "fltp", 44_100, "mono", 1e-3),
    ("mkv", "aac", "fltp", 22_050, "mono", 1e-3),
    ("flv", "aac", "fltp", 44_100, "mono", 1e-3),
    ("aac", "aac", "fltp", 44_100, "mono", 1e-3),
    ("ts", "aac", "fltp", 44_100, "mono", 1e-3),
    ("ts", "ac3", "fltp", 48_000, "mono", 0.01),
    ("mka", "ac3", "fltp", 48_000, "mono", 0.01),
    ("ogg", "libopus", "flt", 48_000, "mono", 1e-3),
    ("webm", "libopus", "flt", 48_000, "mono", 1e-3),
    ("mka", "libopus", "flt", 48_000, "mono", 1e-3),
    ("ogg", "vorbis", "fltp", 44_100, "stereo", 1e-3),
    ("webm", "vorbis", "fltp", 44_100, "stereo", 1e-3),
    ("mka", "vorbis", "fltp", 44_100, "stereo", 1e-3),
]


@pytest.mark.parametrize(("ending", "codec", "kind", "rate", "layout", "error"), WINDOWED)
def test_a_window_is_exact_in_every_container(tmp_path, ending, codec, kind, rate, layout, error):
    """High tones tell shifts by a single sample, as the rounded times of Matroska would be."""
    sound = chirp(14, rate, 100, 7000)
    container = "matroska" if ending == "mka" else None
    path = make_sound(tmp_path / f"s.{ending}", sound, rate, codec, layout, kind, container)
    whole = load_audio(path).samples
    for start in (0.0, 1.9, 3.777, 5.123, 9.4, 13.3):
        part = load_audio(path, start=start, duration=0.6).samples
        assert part.size == round(0.6 * 44_100)
        first = round(start * 44_100)
        assert np.abs(part - whole[first : first + part.size]).max() < error


@pytest.mark.parametrize("ending", ["mkv", "mp4", "ts"])
@pytest.mark.parametrize("offset", [0.0, 0.5, -0.4])
def test_sound_and_picture_share_one_clock(tmp_path, ending, offset):
    sound = chirp(6, 44_100)
    path = make_video(tmp_path / f"both.{ending}", count=150, sound=sound, sound_offset=offset)
    for start in (1.0, 4.2):
        part = load_audio(path, start=start, duration=0.5)
        first = round((start - offset) * 44_100)
        assert abs(lag(part.samples, sound[first : first + part.samples.size])) < 0.003
    if offset > 0:
        early = load_audio(path, duration=0.4)
        assert is_silent(Waveform(early.samples[: int(0.35 * 44_100)], 44_100))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.floats(0, 2.9), duration=st.floats(0.001, 5), rate=st.sampled_from([8000, 44_100]))
def test_any_window_has_the_expected_number_of_samples(tmp_path, start, duration, rate):
    path = tmp_path / "three.wav"
    if not path.exists():
        make_sound(path, chirp(3, 16_000), 16_000)
    part = load_audio(path, rate, start, duration)
    expected = min(duration, 3 - start) * rate
    assert abs(part.samples.size - expected) <= 1.5
    assert np.isfinite(part.samples).all()


def test_only_the_window_is_kept_in_memory(tmp_path):
    import tracemalloc

    path = make_sound(tmp_path / "long.flac", chirp(120, 8000), 8000, "flac")
    tracemalloc.start()
    load_audio(path, start=60, duration=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3_000_000  # the whole would take 21 MB


def test_start_behind_the_end_is_an_error(tmp_path):
    path = make_sound(tmp_path / "short.wav", chirp(1, 8000), 8000)
    with pytest.raises(MediaError, match=r"short.*less than 1\.000"):
        load_audio(path, start=1.5)
    with pytest.raises(MediaError, match="behind the end"):
        load_audio((chirp(1, 8000), 8000), start=2)
    for start in (1e9, 1e18, 1e306):
        with pytest.raises(MediaError, match=r"short.*behind"):
            load_audio(path, start=start)
    assert load_audio(path, duration=1e306).duration == 1
    with pytest.raises(MediaError, match="at least 0"):
        load_audio(path, start=-1)


@pytest.mark.parametrize("duration", [0, -1, float("nan"), float("inf")])
def test_meaningless_durations_and_rates(duration):
    with pytest.raises(UsageError):
        load_audio((chirp(1, 8000), 8000), duration=duration)
    with pytest.raises(UsageError):
        load_audio((chirp(1, 8000), 8000), rate=0)


def test_video_without_sound(video):
    with pytest.raises(NoSoundError, match="plain"):
        load_audio(video)


DAMAGEABLE = [
    ("m4a", "aac", "fltp"),
    ("aac", "aac", "fltp"),
    ("mp3", "libmp3lame", "fltp"),
    ("ogg", "libopus", "flt"),
    ("flac", "flac", "s16"),
]


@pytest.mark.parametrize("filler", [b"\0", b"\xff", b"\x5a"])
@pytest.mark.parametrize(("ending", "codec", "kind"), DAMAGEABLE)
def test_some_damage_in_the_middle_is_heard_with_a_warning(tmp_path, ending, codec, kind, filler):
    path = make_sound(tmp_path / f"bad.{ending}", chirp(6, 48_000), 48_000, codec, kind=kind)
    whole = load_audio(path).samples
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300] = filler * 300
    path.write_bytes(content)
    with pytest.warns(
        MediaWarning, match=r"bad\.\w+: The sound is damaged at [23]\.\d\d s"
    ) as told:
        heard = load_audio(path)
    assert len(told) == 1
    assert heard.duration == pytest.approx(6, abs=0.6 if ending == "aac" else 0.1)
    inner = slice(44_100, 80_000)
    assert np.abs(heard.samples[inner] - whole[inner]).max() < 0.05
    late = heard.samples[5 * 44_100 : 5 * 44_100 + 9000]
    if ending not in ("aac", "mp3"):  # without times, what a player skips is gone
        assert abs(lag(late, whole[5 * 44_100 : 5 * 44_100 + 9000])) < 0.003
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a window that the damage does not touch
        part = load_audio(path, start=0.5, duration=1)
    assert np.abs(part.samples - whole[22_050 : 22_050 + part.samples.size]).max() < 0.05


@pytest.mark.parametrize("filler", [b"\0", b"\xff", b"\x5a"])
@pytest.mark.parametrize(("ending", "codec", "kind"), DAMAGEABLE)
def test_a_sound_that_is_mostly_broken_is_an_error(tmp_path, ending, codec, kind, filler):
    path = make_sound(tmp_path / f"broken.{ending}", chirp(6, 48_000), 48_000, codec, kind=kind)
    content = bytearray(path.read_bytes())
    fifth = len(content) // 5
    content[fifth : 4 * fifth] = filler * (3 * fifth)
    path.write_bytes(content)
    with pytest.raises(UnreadableMediaError, match="broken"):
        load_audio(path)


@pytest.mark.parametrize(
    ("ending", "codec", "rate", "layout"),
    [
        ("mp3", "libmp3lame", 44_100, "mono"),
        ("mp3", "libmp3lame", 22_050, "stereo"),
        ("aac", "aac", 44_100, "mono"),
        ("aac", "aac", 22_050, "stereo"),
    ],
)
def test_two_streams_put_together_are_heard_one_after_the_other(
    tmp_path, ending, codec, rate, layout
):
    first, second = chirp(3, 44_100), chirp(2, rate, 300, 700)
    one = make_sound(tmp_path / f"one.{ending}", first, 44_100, codec, kind="fltp")
    two = make_sound(tmp_path / f"two.{ending}", second, rate, codec, layout, kind="fltp")
    path = tmp_path / f"joined.{ending}"
    path.write_bytes(one.read_bytes() + two.read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MediaWarning)
        heard = load_audio(path)
    assert heard.duration == pytest.approx(5, abs=0.2)
    later = heard.samples[-int(1.5 * 44_100) : -int(0.5 * 44_100)]
    truth = load_audio((second, rate)).samples[-int(1.6 * 44_100) : -int(0.4 * 44_100)]
    match = np.correlate(truth, later, "valid").max()
    assert match / np.linalg.norm(later) / np.linalg.norm(later) > 0.9


@pytest.mark.parametrize(("ending", "codec"), [("m4a", "aac"), ("wav", "pcm_s16le")])
def test_eight_channels(tmp_path, ending, codec):
    kind = "fltp" if codec == "aac" else "s16"
    path = make_sound(
        tmp_path / f"eight.{ending}", chirp(1, 48_000), 48_000, codec, layout="7.1", kind=kind
    )
    samples = load_audio(path).samples[:44_100]
    assert np.corrcoef(samples[2000:40_000], chirp(1, 44_100)[2000:40_000])[0, 1] > 0.9


def test_samples_that_are_no_numbers(tmp_path):
    samples = chirp(0.5, 44_100)
    samples[100] = np.nan
    path = make_sound(tmp_path / "nan.wav", samples, 44_100, "pcm_f32le", kind="flt")
    with pytest.raises(UnreadableMediaError, match="not finite"):
        load_audio(path)
    with pytest.raises(ShapeError):
        load_audio((samples, 44_100))


@pytest.mark.parametrize("peak", [16_000.0, 1e30, 1e300, np.inf])
@pytest.mark.parametrize(("codec", "kind"), [("pcm_f32le", "flt"), ("pcm_f64le", "dbl")])
def test_floats_on_another_scale_are_refused_at_every_door(tmp_path, peak, codec, kind):
    values = chirp(0.5, 44_100).astype(np.float64)
    values[100] = peak
    path = tmp_path / "scale.wav"
    write_wav(path, values.astype("<f4" if kind == "flt" else "<f8"), 44_100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UnreadableMediaError, match=r"scale\.wav: The .*(finite|\[-1, 1\])"):
            load_audio(path)
        with pytest.raises(ShapeError, match=r"finite|\[-1, 1\]"):
            load_audio((values, 44_100))
    if np.isfinite(np.float32(min(peak, 1e38))) and peak < 1e38:
        with pytest.raises(ShapeError, match=r"\[-1, 1\]"):
            load_audio(Waveform(values.astype(np.float32), 44_100))


def test_overshoot_of_lossy_coding_passes(tmp_path):
    loud = np.sign(chirp(1, 44_100)) * np.float32(1.0)
    path = make_sound(tmp_path / "loud.mp3", loud, 44_100, "libmp3lame", kind="fltp")
    assert np.abs(load_audio(path).samples).max() > 1


@pytest.mark.parametrize("kind", [np.int16, np.int32])
def test_integer_arrays_are_scaled(kind):
    values = (chirp(0.2, 44_100) * np.iinfo(kind).max).astype(kind)
    assert np.abs(load_audio((values, 44_100)).samples - chirp(0.2, 44_100)).max() < 1e-4


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(0, np.float32),
        np.zeros((2, 2, 2), np.float32),
        np.zeros((100, 44_100), np.float32),
        np.zeros(9, np.int64),
        np.zeros(9, np.complex64),
        np.full(9, 3000.0),
    ],
)
def test_other_arrays_are_refused(samples):
    with pytest.raises(ShapeError):
        load_audio((samples, 44_100))


def test_array_and_file_go_through_the_same_resampler(tmp_path):
    path = make_sound(tmp_path / "s.wav", chirp(1, 16_000), 16_000, "pcm_f32le", kind="flt")
    assert np.array_equal(load_audio(path).samples, load_audio((chirp(1, 16_000), 16_000)).samples)


@settings(max_examples=40)
@given(
    st.integers(1, 5000),
    st.sampled_from([1000, 8000, 44_100, 48_000]),
    st.sampled_from([8000, 16_000, 44_100, 44_101]),
)
def test_resampling_keeps_the_length(size, rate, target):
    result = resample(Waveform(np.zeros(size, np.float32), rate, start=2.5), target)
    assert result.samples.size == max(1, round(size * target / rate))
    assert result.start == 2.5


def test_resampling_there_and_back():
    sound = Waveform(chirp(1, 44_100), 44_100)
    back = resample(resample(sound, 48_000), 44_100)
    assert np.abs(back.samples - sound.samples)[300:-300].max() < 1e-3
    assert resample(sound, 44_100) is sound


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros((3, 3), np.float32),
        np.zeros(3),
        np.zeros(0, np.float32),
        np.array([np.inf], np.float32),
    ],
)
def test_waveform_checks_itself(samples):
    with pytest.raises(ShapeError):
        Waveform(samples, 44_100)


def test_silence():
    silent = Waveform(np.full(100, 9e-5, np.float32), 44_100)
    loud = Waveform(np.full(100, -2e-4, np.float32), 44_100)
    assert is_silent(silent)
    assert not is_silent(loud)
    assert require_sound(loud) is loud
    with pytest.raises(SilentAudioError, match=r"quiet\.wav"):
        require_sound(silent, "quiet.wav")


@pytest.mark.parametrize("stored", [1_000, 8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("level", [0.3, -0.9, 1e-3])
def test_a_constant_offset_is_silence(stored, rate, level):
    """Nothing moves, nothing is heard; where it ends, resampling rings."""
    offset = np.full(2 * stored, level, np.float32)
    offset[::3] += 3e-5  # dither of 16 bits
    assert is_silent(load_audio((offset, stored), rate))
    with pytest.raises(SilentAudioError):
        require_sound(load_audio((offset, stored), rate))


@pytest.mark.parametrize("frequency", [20, 100, 3_000])
@pytest.mark.parametrize("level", [0.0, 0.3])
def test_a_soft_tone_on_an_offset_is_heard(frequency, level):
    time = np.arange(RATE) / RATE
    tone = 2e-4 * np.sin(2 * np.pi * frequency * time)
    assert not is_silent(Waveform((tone + level).astype(np.float32), RATE))
    only_there = np.where((time > 0.4) & (time < 0.6), tone, 0) + level
    assert not is_silent(Waveform(only_there.astype(np.float32), RATE))


def test_where_something_sounds_an_offset_of_zero_changes_nothing():
    time = np.arange(RATE) / RATE
    samples = (np.exp(-8 * time) * np.sin(2 * np.pi * 300 * time)).astype(np.float32)
    assert np.array_equal(audible_mask(samples, RATE), np.abs(samples) >= 1e-4)


def test_silence_is_looked_for_to_the_very_end_of_a_long_sound():
    samples = np.full(3 * 2**20, 0.2, np.float32)
    samples[-2000:-1500:2] = 0.3
    assert not is_silent(Waveform(samples, RATE))


@pytest.mark.parametrize(
    ("center", "length", "start", "size"),
    [(5, 2, 4, 2), (0, 2, 0, 2), (0.3, 2, 0, 2), (10, 2, 8, 2), (9.9, 4, 6, 4), (5, 30, 0, 10)],
)
@pytest.mark.parametrize("ending", ["wav", "mp3"])
def test_window_is_shifted_inwards(tmp_path, center, length, start, size, ending):
    codec, kind = ("pcm_s16le", "s16") if ending == "wav" else ("libmp3lame", "fltp")
    path = make_sound(tmp_path / f"ten.{ending}", chirp(10, 44_100), 44_100, codec, kind=kind)
    window = sound_window(path, center, length)
    assert window.start == pytest.approx(start, abs=0.001)
    assert window.duration == pytest.approx(size, abs=0.001)
    first = round(window.start * 44_100)
    truth = chirp(10, 44_100)[first : first + window.samples.size]
    assert abs(lag(window.samples, truth)) < 0.003


def test_window_outside_the_file(tmp_path):
    path = make_sound(tmp_path / "ten.wav", chirp(2, 8000), 8000)
    for center in (-1, 2.5, 1e9, 1e18, 1e300, float("inf"), float("nan")):
        with pytest.raises(MediaError, match="outside"):
            sound_window(path, center, 1)


def test_window_where_the_picture_outlasts_the_sound(tmp_path):
    path = make_video(tmp_path / "both.mp4", count=100, sound=chirp(1.5, 44_100))
    window = sound_window(path, 3.9, 1)
    assert window.duration == pytest.approx(1, abs=0.001)
    assert window.start == pytest.approx(0.5, abs=0.05)


def test_limits_of_sounds(tmp_path):
    path = make_sound(tmp_path / "sound.wav", chirp(2, 8000), 8000, layout="stereo")
    for limits, message in [
        (MediaLimits(max_duration=1.5), r"2\.0 seconds, 1\.5"),
        (MediaLimits(max_sample_rate=4000), "8000 Hz, 1000 to 4000"),
        (MediaLimits(min_sample_rate=9000), "8000 Hz, 9000"),
        (MediaLimits(max_channels=1), "2 channels, 1"),
    ]:
        with pytest.raises(MediaLimitError, match=message):
            load_audio(path, rate=9000 if limits.min_sample_rate == 9000 else 4000, limits=limits)


def test_cover_art_is_no_video(tmp_path):
    import io

    from PIL import Image

    cover = io.BytesIO()
    Image.new("RGB", (60, 40), "red").save(cover, "JPEG")
    body = b"\0image/jpeg\0\3\0" + cover.getvalue()
    frame = b"APIC" + len(body).to_bytes(4, "big") + b"\0\0" + body
    size = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    plain = make_sound(tmp_path / "p.mp3", chirp(1, 44_100), 44_100, "libmp3lame", kind="fltp")
    path = tmp_path / "cover.mp3"
    path.write_bytes(b"ID3\3\0\0" + size + frame + plain.read_bytes())
    assert media_type_of(path) == "sound"
    assert load_audio(path).duration == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("name", ["pe_train_woman.mp4", "nasa_13013.mp4"])
def test_real_video_has_five_seconds_of_sound(name):
    window = sound_window(real_video(name), 7.0, 5.0)
    assert window.samples.size == 5 * 44_100
    assert window.start == pytest.approx(4.5)
    assert not is_silent(window)


@pytest.mark.parametrize("samples", [801, 802, 1203, 5000, 12345])
def test_offsets_are_told_from_sound_by_sliding_extremes(samples: int) -> None:
    from scipy import ndimage

    from tvsl.media.waveform import _sliding_maximum

    values = np.random.default_rng(samples).standard_normal(samples).astype(np.float32)
    expected = ndimage.maximum_filter1d(values, 801, mode="nearest")
    np.testing.assert_array_equal(_sliding_maximum(values, 801), expected)


def test_a_reader_gives_the_windows_that_are_read_one_by_one(tmp_path: Path) -> None:
    from fractions import Fraction

    from tvsl.media.audio import SoundReader, read_window
    from tvsl.media.limits import DEFAULT_LIMITS

    path = make_sound(tmp_path / "long.m4a", chirp(43.21, 44_100), 44_100, "aac", kind="fltp")
    reader, rate = SoundReader(path, 16_000, DEFAULT_LIMITS), 16_000
    starts = [0.0, 0.0, 0.5, 1.5, 2.5, 19.0, 21.5, 22.0, 40.0, 42.0, 43.0, 44.0, 41.21, 3.0]
    for start in starts:
        first, count = round(start * rate), 2 * rate
        samples, end = reader.read(first, count)
        expected, expected_end = read_window(path, rate, first, count, DEFAULT_LIMITS)
        assert samples.shape == expected.shape
        # A decoder of AAC that begins elsewhere rounds otherwise.
        np.testing.assert_allclose(samples, expected, atol=1e-4)
        if len(expected) < count:
            assert end == expected_end == Fraction(end or 0)


def test_a_reader_reads_on_once_for_many_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tvsl.media import audio

    path = make_sound(tmp_path / "long.wav", chirp(18.0, 16_000), 16_000)
    times: list[int] = []
    decode = audio.decode_sound
    monkeypatch.setattr(audio, "decode_sound", lambda *a: (times.append(1), decode(*a))[1])
    reader = audio.SoundReader(path, 16_000, MediaLimits())
    for second in range(16):
        reader.read(second * 16_000, 32_000)
    assert len(times) == 2
