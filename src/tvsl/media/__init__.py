"""Pictures, sounds and videos from files: checked, decoded, upright, on one clock."""

from tvsl.media.audio import DEFAULT_RATE, AudioSource, load_audio, sound_window
from tvsl.media.center_crop import crop_center, sound_event
from tvsl.media.image import ImageSource, load_image, shrink
from tvsl.media.limits import DEFAULT_LIMITS, MediaLimits, check_file, open_container
from tvsl.media.media_type import MediaType, media_type_of
from tvsl.media.video import (
    VideoFrame,
    VideoInfo,
    iterate_frames,
    probe_video,
    read_frame,
    read_frames,
)
from tvsl.media.waveform import Waveform, is_silent, require_sound, resample
from tvsl.media.writing import to_int16, write_jpeg, write_png, write_still_video, write_wav

__all__ = [
    "DEFAULT_LIMITS",
    "DEFAULT_RATE",
    "AudioSource",
    "ImageSource",
    "MediaLimits",
    "MediaType",
    "VideoFrame",
    "VideoInfo",
    "Waveform",
    "check_file",
    "crop_center",
    "is_silent",
    "iterate_frames",
    "load_audio",
    "load_image",
    "media_type_of",
    "open_container",
    "probe_video",
    "read_frame",
    "read_frames",
    "require_sound",
    "resample",
    "shrink",
    "sound_event",
    "sound_window",
    "to_int16",
    "write_jpeg",
    "write_png",
    "write_still_video",
    "write_wav",
]
