"""The page of one input of ``tvsl localize``, written beside the other work on that input."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType
from typing import Final

from typing_extensions import Self

from tvsl.html.localization import CLIP_SIDE, LARGEST_VIDEO, LocalizedClip, localization_page
from tvsl.render.video import PageVideo, write_page_video
from tvsl.utils.atomic import writable, write_text
from tvsl.utils.processes import Stages

PAGE_NAME: Final = "index.html"
CLIP_NAME: Final = "clip.mp4"
_SECONDS_BETWEEN_REPORTS: Final = 0.2
# FFmpeg is called several times for each frame, and after each call a thread waits for Python's
# lock. The usual 5 ms would be most of its time while another thread computes in Python.
_SECONDS_TO_SWITCH: Final = 0.0003


class PageWriter:
    """Writes a page in a thread of its own, where another processor would have nothing to do.

    The page's video shows nothing of what is found: it is encoded from the beginning, while moments
    are looked for. The rest follows while other files are written. To be used in a ``with``
    statement, at whose end the thread has ended; where that fails, the page is given up.

    Args:
        source: The video, or the picture.
        folder: Where to write.
        stretch: Start and end in seconds of the page's video, the end None for the source's own;
            None for a page without one.
    """

    def __init__(
        self, source: Path, folder: Path, stretch: tuple[float, float | None] | None
    ) -> None:
        self._source = source
        self._folder = folder
        self._stretch = stretch
        self._pool = ThreadPoolExecutor(1)
        self._video: Future[PageVideo] | None = None
        self._page: Future[None] | None = None
        self._is_given_up = False
        self._done: tuple[int, int | None] = (0, None)
        self._usual_switch = sys.getswitchinterval()

    def __enter__(self) -> Self:
        sys.setswitchinterval(_SECONDS_TO_SWITCH)
        if self._stretch is not None:
            path = self._folder / CLIP_NAME
            self._video = self._pool.submit(
                write_page_video, self._source, path, CLIP_SIDE, *self._stretch, self._count
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_given_up = kind is not None
        self._pool.shutdown(cancel_futures=self._is_given_up)
        sys.setswitchinterval(self._usual_switch)

    def begin(self, clip: Callable[[Path | None, PageVideo], LocalizedClip]) -> None:
        """Begin to write the page, as soon as its video is there.

        Args:
            clip: Makes what the page shows, from its video and the place of that in the source.
        """
        self._page = self._pool.submit(self._write, clip)

    def finish(self, stages: Stages) -> None:
        """Wait for the page, which was begun.

        Args:
            stages: Shows how far its video is.

        Raises:
            MediaError: The input cannot be read any more.
            OutputError: A file cannot be written.
        """
        if self._video is not None:
            with stages("Writing the page's video") as report:
                while wait([self._video], _SECONDS_BETWEEN_REPORTS).not_done:
                    report(*self._done)
                self._video.result()
                report(*self._done)
        if self._page is not None:
            self._page.result()

    def _count(self, done: int, total: int | None) -> None:
        if self._is_given_up:
            raise CancelledError
        self._done = done, total

    def _write(self, clip: Callable[[Path | None, PageVideo], LocalizedClip]) -> None:
        """Write the page; its video stays beside it where that is too large to be held in it."""
        path = None if self._video is None else self._folder / CLIP_NAME
        place = PageVideo() if self._video is None else self._video.result()
        write_text(self._folder / PAGE_NAME, localization_page(clip(path, place)))
        if path is not None and path.stat().st_size <= LARGEST_VIDEO:
            with writable(path, "file"):
                path.unlink()
