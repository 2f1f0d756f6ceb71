"""Options of the service, and its limits."""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from tvsl.errors import UsageError, shown

DEFAULT_PORT: Final = 8321
SHORTEST_TOKEN: Final = 16
LONGEST_TOKEN: Final = 512

MOST_UPLOAD: Final = 500_000_000
"""Bytes of one upload, by default."""
MOST_WAITING: Final = 8
"""Jobs that wait or are being uploaded, by default."""
LONGEST_MEDIA: Final = 600
"""Seconds of a video or sound, by default."""
LONGEST_JOB: Final = 1_800
"""Seconds of a job, by default."""
KEPT_SECONDS: Final = 1_800
"""Seconds for which a result is kept, by default."""


@dataclass(frozen=True)
class ServeConfig:
    """Options of the service.

    Attributes:
        host: Address or name to listen at.
        port: Port; 0 for any that is free.
        token: Secret that every request must bring; needed for any address but this computer's own.
        model: Arguments of ``Localizer.from_pretrained`` by their names; plain JSON types. Relative
            paths are those of the folder in which the service starts.
        max_upload: Bytes of one upload.
        max_media_seconds: Length of a video or sound in seconds.
        max_job_seconds: Time of a job in seconds, from its start.
        max_waiting: Jobs that wait or are being uploaded.
        keep_seconds: Seconds for which a result is kept.

    Raises:
        UsageError: A limit that is not positive, or a token that is too short or cannot be sent.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    token: str | None = field(default=None, repr=False)
    model: dict[str, Any] = field(default_factory=lambda: {"name_or_path": "everyday"})
    max_upload: int = MOST_UPLOAD
    max_media_seconds: float = LONGEST_MEDIA
    max_job_seconds: float = LONGEST_JOB
    max_waiting: int = MOST_WAITING
    keep_seconds: float = KEPT_SECONDS

    def __post_init__(self) -> None:
        for name in (
            "max_upload", "max_media_seconds", "max_job_seconds", "max_waiting", "keep_seconds",
        ):  # fmt: skip
            if not getattr(self, name) > 0:
                raise UsageError(f"The limit {name} is not positive.", "Give a positive number.")
        if not self.host.strip():
            raise UsageError("The address is empty.", "Give one, such as 127.0.0.1.")
        if self.token is not None:
            check_token(self.token)

    def is_token(self, given: str) -> bool:
        """Compare a text with the token, in a time that does not depend on where they differ."""
        if self.token is None:
            return False
        digests = [sha256(text.encode("utf-8", "replace")).digest() for text in (self.token, given)]
        return hmac.compare_digest(*digests)


def check_token(token: str) -> None:
    """Refuse a token that is easily guessed, or that no header can hold.

    Args:
        token: The token; no message shows it.

    Raises:
        UsageError: It is too short, too long, or has other characters than printable ASCII ones.
    """
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise UsageError(
            "The token has spaces, or characters beyond ASCII.", "Use letters and digits."
        )
    if not SHORTEST_TOKEN <= len(token) <= LONGEST_TOKEN:
        raise UsageError(
            f"The token has {len(token)} characters.",
            f"Use {SHORTEST_TOKEN} to {LONGEST_TOKEN}, such as those of `openssl rand -hex 24`.",
        )


def check_reach(address: str, token: str | None) -> bool:
    """Tell whether only this computer reaches an address; refuse any other without a token.

    Args:
        address: Numeric address that will be listened at.
        token: The token, if there is one.

    Raises:
        UsageError: Others reach it, and there is no token.
    """
    is_local = ipaddress.ip_address(address.partition("%")[0]).is_loopback
    if not is_local and token is None:
        raise UsageError(
            f"Others reach the address {shown(address)}, and there is no token.",
            "Give one by --token-file or the environment variable TVSL_SERVE_TOKEN, or listen at "
            "127.0.0.1.",
        )
    return is_local
