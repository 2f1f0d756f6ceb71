"""Ogg files that are put together end to end."""

import warnings
from itertools import product

import numpy as np
import pytest
from media_makers import chirp, make_sound, make_video

from tvsl.errors import MediaLimitError, MediaWarning, UnreadableMediaError
from tvsl.media import crop_center, load_audio, media_type_of, probe_video, read_frame, sound_window
from tvsl.media.ogg import ogg_links

RATE = 44_100
SECONDS = 3.3
KINDS = {
    "opus": ("libopus", "mono", "flt", 48_000),
    "opus-stereo": ("libopus", "stereo", "flt", 48_000),
    "vorbis": ("vorbis", "stereo", "fltp", 44_100),
    "vorbis-slow": ("vorbis", "stereo", "fltp", 22_050),
    "flac": ("flac", "mono", "s16", 44_100),
    "flac-stereo": ("flac", "stereo", "s16", 48_000),
}


def made(folder, kind, seconds=SECONDS, low=200.0):
    codec, layout, sample, rate = KINDS[kind]
    path = folder / f"{kind}-{seconds}-{low}.ogg"
    return make_sound(path, chirp(seconds, rate, low, 1500), rate, codec, layout, sample, "ogg")


@pytest.fixture(scope="module")
def links(tmp_path_factory):
    """A file of each kind, with what is heard in it alone."""
    folder = tmp_path_factory.mktemp("links")
    paths = {kind: made(folder, kind) for kind in KINDS}
    return {kind: (path.read_bytes(), load_audio(path).samples) for kind, path in paths.items()}


@pytest.mark.parametrize(("one", "two"), list(product(KINDS, KINDS)))
def test_a_chain_is_heard_whole_and_in_windows(tmp_path, links, one, two):
    path = tmp_path / "chain.ogg"
    path.write_bytes(links[one][0] + links[two][0])
    whole = load_audio(path).samples
    parts = np.concatenate([links[one][1], links[two][1]])
    assert abs(whole.size - parts.size) <= 1
    # Where the rates differ the second part may lie between two samples of the first one's grid.
    size = min(whole.size, parts.size)
    difference = np.abs(whole[:size] - parts[:size])
    seam = links[one][1].size
    assert difference[: seam - 200].max() < 1e-3
    assert difference[seam + 200 :].max() < 0.1
    assert media_type_of(path) == "sound"
    for start, length in ((0.4, 1.0), (SECONDS - 0.2, 0.5), (SECONDS + 0.01, 0.3), (6.1, 0.4)):
        part = load_audio(path, start=start, duration=length).samples
        first = round(start * RATE)
        same = whole[first : first + round(length * RATE)]
        assert part.size == same.size
        assert np.abs(part - same).max() < 1e-4
    window = sound_window(path, 6.5, 1)
    assert window.start == pytest.approx(2 * SECONDS - 1, abs=0.01)
    assert crop_center(path, 2).start == pytest.approx(SECONDS - 1, abs=0.01)


def test_a_long_chain(tmp_path, links):
    path = tmp_path / "chain.ogg"
    path.write_bytes(b"".join(links[kind][0] for kind in KINDS))
    assert len(ogg_links(path)) == len(KINDS)
    assert load_audio(path).duration == pytest.approx(SECONDS * len(KINDS), abs=0.002)
    seam = sum(links[kind][1].size for kind in list(KINDS)[:-1])
    last = load_audio(path, start=seam / RATE + 1, duration=0.5).samples
    alone = links["flac-stereo"][1][RATE : RATE + last.size]
    assert np.abs(last - alone).max() < 0.1


def test_damage_is_told_at_its_place_in_the_chain(tmp_path, links):
    content = bytearray(links["opus"][0])
    middle = len(content) // 2
    content[middle : middle + 200] = bytes(200)
    path = tmp_path / "chain.ogg"
    path.write_bytes(links["vorbis"][0] + content)
    with pytest.warns(MediaWarning, match=r"damaged at (4\.\d|5\.\d)") as told:
        load_audio(path)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_audio(path, start=0.5, duration=2)


def test_a_second_stream_that_cannot_be_decoded(tmp_path, links):
    content = links["opus"][0]
    second_page = content.index(b"OggS", 1)
    content = content[:second_page] + content[second_page:].replace(b"OggS", b"Nope")
    path = tmp_path / "chain.ogg"
    path.write_bytes(links["flac"][0] + content)
    with pytest.raises(UnreadableMediaError, match=r"number 2 begins at 3\.30 s") as caught:
        load_audio(path)
    assert caught.value.path == path
    part = load_audio(path, start=0.1, duration=1.0)
    assert part.duration == pytest.approx(1)


def test_too_many_links(tmp_path, links):
    first_page = links["opus"][0][:47]
    rest = links["opus"][0][47:110]
    path = tmp_path / "many.ogg"
    path.write_bytes((first_page + rest) * 1100)
    with pytest.raises(MediaLimitError, match="1000"):
        load_audio(path)


def test_what_only_looks_like_a_first_page_is_none(tmp_path, links):
    path = tmp_path / "one.ogg"
    path.write_bytes(links["flac"][0])
    assert len(ogg_links(path)) == 1
    path.write_bytes(links["flac"][0] + b"OggS\0\2" + bytes(60))
    assert len(ogg_links(path)) == 1
    other = tmp_path / "no.wav"
    other.write_bytes(b"RIFF" + links["flac"][0])
    assert ogg_links(other) == ()


def test_a_file_that_is_replaced_is_read_anew(tmp_path, links):
    path = tmp_path / "chain.ogg"
    path.write_bytes(links["flac"][0])
    assert load_audio(path).duration == pytest.approx(SECONDS, abs=0.01)
    path.write_bytes(links["flac"][0] * 3)
    assert load_audio(path).duration == pytest.approx(3 * SECONDS, abs=0.01)


def test_joined_videos_are_refused_with_the_place(tmp_path):
    video = make_video(tmp_path / "v.ogv", 50, codec="libvpx", container_format="ogg")
    path = tmp_path / "joined.ogv"
    path.write_bytes(video.read_bytes() * 2)
    for reader in (probe_video, read_frame):
        with pytest.raises(UnreadableMediaError, match=r"second begins at 2\.0") as caught:
            reader(path)
        assert "MP4" in caught.value.remedy
