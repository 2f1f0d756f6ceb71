"""The page of the demo: one file with everything in it, which asks no network for anything."""

from __future__ import annotations

import shlex

from tvsl.evaluation.demo import Demo
from tvsl.evaluation.demo_scores import PROTOCOL
from tvsl.localization import BOX_PROTOCOL
from tvsl.render.demo_card import scene_card
from tvsl.render.markup import Markup, joined, tag
from tvsl.render.page import color_rules, fill_page, template


def demo_page(demo: Demo, model: str) -> str:
    """Write the page.

    Args:
        demo: What was localized.
        model: The name or path that the model was loaded by, for commands that can be copied.

    Returns:
        The HTML, the same for the same demo. Its content security policy lets no other style,
        script, picture or sound in than those that it holds.
    """
    most = max(len(result.sources) + len(result.false) for result in demo.results)
    style = template("page.css") + "\n" + color_rules(most)
    values = {
        "lead": _lead(demo),
        "figures": _figures(demo),
        "scenes": joined(*(scene_card(result, model) for result in demo.results)),
        "detection_rule": joined(demo.detection_rule),
        "protocol": joined(PROTOCOL),
        "box_protocol": joined(BOX_PROTOCOL),
        "sources": joined(str(demo.summary.sources)),
        "other_seed": joined(str(demo.seed + 1)),
        "model": joined(shlex.quote(model)),
        "sha256": joined(demo.encoder_sha256),
    }
    return fill_page("demo.html", style, template("page.js"), values)


def _lead(demo: Demo) -> Markup:
    return joined(
        f"{len(demo.results)} made-up scenes of tvsl's synthetic world, from the split that no "
        "model is trained on, localized with ",
        tag("code", demo.model),
        ". One heat-map for every sounding object. Of each kind it is the first scene of seed "
        f"{demo.seed}: none was chosen for its result.",
    )


def _figures(demo: Demo) -> Markup:
    summary = demo.summary
    whole = tag("small", f" of {summary.sources}")
    figures = (
        ("Sources hit, labels given", joined(str(summary.given_hits), whole)),
        ("Sources hit, labels detected", joined(str(summary.detected_hits), whole)),
        ("Classes detected", joined(str(summary.detected), whole)),
        ("Classes falsely detected", joined(str(summary.false))),
    )
    return tag(
        "dl",
        *(tag("div", tag("dt", name), tag("dd", value)) for name, value in figures),
        class_="figures",
    )
