"""Pages of results, one self-contained file each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tvsl.utils.lazy import lazy_names

if TYPE_CHECKING:
    from tvsl.html.demo import demo_page as demo_page
    from tvsl.html.evaluation import evaluation_page as evaluation_page
    from tvsl.html.evaluation import write_report as write_report
    from tvsl.html.localization import localization_page as localization_page
    from tvsl.html.rendering import service_page as service_page
    from tvsl.html.reproduction import reproduction_page as reproduction_page
else:
    __getattr__, __dir__, __all__ = lazy_names(__name__)
