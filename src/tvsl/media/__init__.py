"""Pictures, sounds and videos from files: checked, decoded, upright, on one clock."""

from tvsl.media.audio import (
    DEFAULT_RATE,
    AudioSource,
    Waveform,
    is_silent,
    load_audio,
    require_sound,
    resample,
    sound_window,
)
from tvsl.media.center_crop import sound_middle, sound_near
from tvsl.media.image import ImageSource, load_image, shrink
from tvsl.media.limits import DEFAULT_LIMITS, MediaLimits, check_file, open_container
from tvsl.media.media_type import Sort, is_video, sort_of
from tvsl.media.video import (
    VideoFrame,
    VideoInfo,
    iterate_frames,
    probe_video,
    read_frame,
    read_frames,
)
from tvsl.media.writing import to_int16, write_jpeg, write_png, write_still_video, write_wav

__all__ = [
    "DEFAULT_LIMITS",
    "DEFAULT_RATE",
    "AudioSource",
    "ImageSource",
    "MediaLimits",
    "Sort",
    "VideoFrame",
    "VideoInfo",
    "Waveform",
    "check_file",
    "is_silent",
    "is_video",
    "iterate_frames",
    "load_audio",
    "load_image",
    "open_container",
    "probe_video",
    "read_frame",
    "read_frames",
    "require_sound",
    "resample",
    "shrink",
    "sort_of",
    "sound_middle",
    "sound_near",
    "sound_window",
    "to_int16",
    "write_jpeg",
    "write_png",
    "write_still_video",
    "write_wav",
]
