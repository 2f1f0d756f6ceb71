import os
from pathlib import Path

import numpy as np
import pytest
from media_makers import chirp, make_sound, make_video

from tvsl.errors import MediaLimitError, MissingFileError, UnreadableMediaError, UsageError
from tvsl.media import (
    MediaLimits,
    check_file,
    load_audio,
    load_image,
    media_type_of,
    open_container,
    probe_video,
    read_frame,
)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r"nowhere\.mp4"):
        check_file(tmp_path / "nowhere.mp4")


def test_empty_file_says_so(tmp_path):
    path = tmp_path / "empty.wav"
    path.touch()
    with pytest.raises(MissingFileError, match="0 bytes"):
        load_audio(path)


@pytest.mark.parametrize("loader", [load_audio, load_image, probe_video, media_type_of])
def test_directory_is_refused(tmp_path, loader):
    with pytest.raises(MissingFileError, match="directory"):
        loader(tmp_path)


def test_pipe_and_device_are_refused(tmp_path):
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)
    for path in (pipe, "/dev/zero"):
        with pytest.raises(MissingFileError, match="device, pipe"):
            check_file(path)


def test_link_to_a_file_is_fine_and_a_dangling_one_is_not(tmp_path):
    path = tmp_path / "here.bin"
    path.write_bytes(b"1")
    link = tmp_path / "link.bin"
    link.symlink_to(path)
    assert check_file(link) == link
    path.unlink()
    with pytest.raises(MissingFileError):
        check_file(link)


@pytest.mark.parametrize(
    "address",
    [
        "http://x.org/a.mp4",
        "rtsp://x/a",
        "concat:a.mp4|b.mp4",
        "data:audio/wav;base64," + "A" * 9999,
    ],
)
def test_addresses_are_refused(address):
    with pytest.raises(MissingFileError, match="only local files"):
        check_file(address)


def test_local_name_that_looks_like_an_address_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_sound(tmp_path / "plain.wav", chirp(0.2, 44_100), 44_100).rename("concat:one.wav")
    assert load_audio("concat:one.wav").duration == pytest.approx(0.2)


def test_name_with_zero_byte_is_refused():
    with pytest.raises(MissingFileError):
        check_file("a\0b.wav")


@pytest.mark.parametrize("limit", [0, -1, float("nan"), float("inf")])
def test_limits_must_be_positive_numbers(limit):
    with pytest.raises(UsageError, match="max_duration"):
        MediaLimits(max_duration=limit)


def test_file_size_limit(video):
    with pytest.raises(MediaLimitError, match="bytes, 100 are allowed"):
        probe_video(video, MediaLimits(max_file_size=100))


def playlists(target: Path) -> dict[str, str]:
    name = target.name
    return {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{name}\n#EXT-X-ENDLIST\n",
        "ffconcat": f"ffconcat version 1.0\nfile {name}\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n",
        "dash": f'<?xml version="1.0"?><MPD><BaseURL>{name}</BaseURL></MPD>',
        "webvtt": "WEBVTT\n\n00:00.000 --> 00:01.000\nhello\n",
    }


@pytest.mark.parametrize("kind", ["hls", "ffconcat", "sdp", "dash", "webvtt"])
@pytest.mark.parametrize("ending", ["mp4", "m3u8", "ffconcat", "wav"])
def test_playlists_never_open_another_file(tmp_path, kind, ending):
    target = make_video(tmp_path / "secret.ts", count=10)
    attack = tmp_path / f"attack.{ending}"
    attack.write_text(playlists(target)[kind])
    for loader in (load_audio, probe_video, read_frame, media_type_of):
        with pytest.raises(UnreadableMediaError, match="attack"):
            loader(attack)


def test_ffconcat_would_be_followed_without_the_whitelist(tmp_path):
    import av

    target = make_video(tmp_path / "secret.mp4", count=10)
    attack = tmp_path / "attack.mp4"
    attack.write_text(playlists(target)["ffconcat"])
    with av.open(str(attack)) as container:
        assert container.format.name == "concat"


def test_number_pattern_is_not_expanded(tmp_path):
    for number in range(3):
        (tmp_path / f"p{number}.png").write_bytes(b"x")
    with pytest.raises(MissingFileError):
        probe_video(str(tmp_path / "p%d.png"))


@pytest.mark.parametrize("ending", ["mp4", "wav", "mp3", "png", "mkv", "ogg"])
def test_random_bytes_are_unreadable(tmp_path, ending):
    path = tmp_path / f"noise.{ending}"
    path.write_bytes(np.random.default_rng(3).bytes(40_000))
    for loader in (load_audio, probe_video, load_image, media_type_of):
        with pytest.raises(UnreadableMediaError, match="noise"):
            loader(path)


def test_container_is_closed_and_errors_inside_are_ours(video):
    import av

    with pytest.raises(UnreadableMediaError), open_container(video) as container:
        raise av.error.InvalidDataError(1094995529, "broken")
    with pytest.raises(AssertionError):
        next(container.decode(video=0))


def test_heic_brand_is_named_a_still_picture(video):
    content = bytearray(video.read_bytes())
    content[8:12] = b"heic"
    video.write_bytes(content)
    with pytest.raises(UnreadableMediaError, match="still picture"):
        probe_video(video)


def test_unknown_sizes_count_as_whole(tmp_path):
    path = make_sound(tmp_path / "pipe.wav", chirp(1, 8000), 8000)
    content = bytearray(path.read_bytes())
    content[4:8] = b"\xff\xff\xff\xff"
    place = content.index(b"data") + 4
    content[place : place + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert load_audio(path).duration == pytest.approx(1.0, abs=0.001)


def test_bytes_behind_the_last_box_do_no_harm(video):
    video.write_bytes(video.read_bytes() + b"some note that a tool appended")
    assert probe_video(video).duration == pytest.approx(2.0)


SOUND_KINDS = [
    ("wav", "pcm_s16le", "s16"),
    ("flac", "flac", "s16"),
    ("mp3", "libmp3lame", "fltp"),
    ("m4a", "aac", "fltp"),
    ("ogg", "libopus", "flt"),
    ("mka", "libopus", "flt"),
]


@pytest.mark.parametrize("half", [0.5, 0.31, 0.9])
@pytest.mark.parametrize(("ending", "codec", "kind"), SOUND_KINDS)
def test_cut_off_sounds_are_never_shortened_silently(tmp_path, ending, codec, kind, half):
    rng = np.random.default_rng(0)
    noise = (rng.standard_normal(48_000 * 2) * 0.2).astype(np.float32)
    path = make_sound(tmp_path / f"whole.{ending}", noise, 48_000, codec, kind=kind)
    assert load_audio(path).duration == pytest.approx(2.0, abs=0.06)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * half)])
    with pytest.raises(UnreadableMediaError, match="whole"):
        load_audio(path)


@pytest.mark.parametrize("muxer", [{}, {"movflags": "faststart"}])
@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi"])
def test_cut_off_videos_are_refused(tmp_path, ending, muxer):
    codec = "mpeg4" if ending == "avi" else "libx264"
    path = make_video(tmp_path / f"whole.{ending}", codec=codec, muxer=muxer)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadableMediaError, match="whole"):
        probe_video(path)
