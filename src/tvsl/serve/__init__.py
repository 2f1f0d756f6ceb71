"""``tvsl serve``: a local service and its page.

The process that listens imports no torch; a worker process of its own does the work, and can be
killed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tvsl.utils.lazy import lazy_names

if TYPE_CHECKING:
    from tvsl.serve.app import create_app as create_app
    from tvsl.serve.config import ServeConfig as ServeConfig
    from tvsl.serve.jobs import Jobs as Jobs
    from tvsl.serve.server import serve as serve
else:
    __getattr__, __dir__, __all__ = lazy_names(__name__)
