"""Raw videos to a folder of frames and waveforms: found, named, read by several processes."""

from __future__ import annotations
