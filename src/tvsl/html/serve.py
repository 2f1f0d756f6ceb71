"""The page of ``tvsl serve``."""

from __future__ import annotations

from tvsl.html.rendering import render_page


def service_page() -> str:
    """Write the page, on which one uploads a video and gets its result.

    Returns:
        The HTML. It holds no secret and names no user's file; its script talks to the service.
    """
    return render_page(
        "serve.html",
        {},
        styles=["page.css", "serve.css"],
        colors=0,
        script="serve.js",
        has_service=True,
    )
