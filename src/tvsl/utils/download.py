"""Downloads through pooch that are verified, atomic and resumable."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Any

import pooch
import requests

from tvsl.errors import OutputError, TvslError, WeightsError
from tvsl.utils.atomic import locked
from tvsl.utils.processes import Progress

_BLOCK = 1 << 18
_TIMEOUT = 30.0


class ResumingDownloader:
    """HTTP downloader for pooch that resumes an interrupted download.

    Args:
        partial: File of the bytes so far; it stays when the connection breaks.
        progress: Called with bytes so far and bytes in all.
    """

    def __init__(self, partial: Path, progress: Progress | None = None) -> None:
        self.partial = partial
        self.progress = progress

    def __call__(self, url: str, output_file: str, _pooch: Any) -> None:
        """Download ``url`` and move the complete file to ``output_file``.

        Args:
            url: Address of the file.
            output_file: Path that pooch chose.
            _pooch: Ignored; pooch passes itself.
        """
        start = self.partial.stat().st_size if self.partial.exists() else 0
        headers = {"Range": f"bytes={start}-"} if start else {}
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                # All bytes are there, or belong to another file: the checksum decides.
                self.partial.replace(output_file)
                return
            response.raise_for_status()
            if response.status_code != HTTPStatus.PARTIAL_CONTENT:
                start = 0
            self._write(response, start)
        self.partial.replace(output_file)

    def _write(self, response: requests.Response, start: int) -> None:
        length = response.headers.get("Content-Length")
        total = None if length is None else start + int(length)
        done = start
        with self.partial.open("ab" if start else "wb") as stream:
            for block in response.iter_content(_BLOCK):
                stream.write(block)
                done += len(block)
                if self.progress is not None:
                    self.progress(done, total)
        if total is not None and done != total:
            raise requests.exceptions.ConnectionError(f"{done} of {total} bytes arrived")


def download(
    url: str,
    target: Path,
    sha256: str,
    by_hand: str,
    progress: Progress | None = None,
    error_type: type[TvslError] = WeightsError,
) -> Path:
    """Download a file unless it exists with the right checksum.

    Args:
        url: Its address.
        target: Its path; it appears only when it is complete and verified.
        sha256: Its expected SHA-256.
        by_hand: Remedy without a network, for the message.
        progress: Called with bytes so far and bytes in all.
        error_type: Type of the errors, for the kind of file.

    Raises:
        TvslError: Of the given type: no network, a refusal by the server, a wrong checksum, an
            unwritable folder, or another run that downloads into it.
    """
    # The name contains the checksum, so that bytes of another file are never resumed.
    partial = target.with_name(f".tvsl-{sha256[:16]}-{target.name}")
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")  # pooch announces every download; the caller shows progress
    try:
        if target.is_file() and pooch.file_hash(str(target)) == sha256:
            return target
        with locked(target.parent):
            pooch.retrieve(
                url,
                known_hash=f"sha256:{sha256}",
                fname=target.name,
                path=target.parent,
                downloader=ResumingDownloader(partial, progress),
            )
    except requests.exceptions.RequestException as error:
        raise error_type(
            f"The download of {url} failed ({type(error).__name__}).",
            f"Check the network and run the command again, it goes on where it stopped. "
            f"Or {by_hand}.",
            target,
        ) from error
    except ValueError as error:  # raised by pooch for a wrong checksum
        raise error_type(
            f"What {url} gave has a wrong checksum and was thrown away.",
            f"Run the command again. Or {by_hand}.",
            target,
        ) from error
    except OutputError as error:  # another run downloads, or the folder cannot be written
        raise error_type(
            error.problem,
            "Wait until no other run fetches, or set TVSL_HOME to a folder with room for the file.",
            target.parent,
        ) from error
    except OSError as error:
        raise error_type(
            f"The folder {target.parent} cannot be written ({error.strerror}).",
            "Set TVSL_HOME to a folder with room for the file.",
            target,
        ) from error
    finally:
        logger.setLevel(level)
    return target
