import gc
import os

from av.video.frame import VideoFrame
from media_makers import chirp, make_video

from tvsl.media import load_audio, probe_video, read_frame, read_frames, sound_window


def test_what_was_decoded_is_freed_without_a_collection_of_garbage(tmp_path):
    path = make_video(tmp_path / "clip.mp4", count=50, sound=chirp(2, 44_100))

    def read():
        probe_video(path)
        read_frame(path, 1.0)
        list(read_frames(path, [0.5, 1.0]))
        load_audio(path)
        sound_window(path, 1.0, 0.5)

    read()
    gc.collect()
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0  # noqa: PTH112, PTH208
    gc.disable()
    try:
        for _ in range(3):
            read()
        left = [one for one in gc.get_objects() if type(one) is VideoFrame]
    finally:
        gc.enable()
    assert not left
    if before:
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
