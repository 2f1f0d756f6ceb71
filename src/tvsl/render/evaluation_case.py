"""One item of an evaluation's page: picture under heat-maps, truth, sound and scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from tvsl.data.clips import resampled
from tvsl.evaluation.cases import Case, CaseSource
from tvsl.localization import SoundSource, reduced_size
from tvsl.metrics import LabelSource
from tvsl.render.colormap import Picture, source_color
from tvsl.render.data_uris import heat_uri, outline_uri, photo_uri, picture_uri, sound_uri
from tvsl.render.markup import Markup, joined, tag
from tvsl.render.overlay import LONGEST_DRAWN
from tvsl.render.spectrogram import LOWEST, spectrogram_picture

MEASURES = {"ap": "AP", "ciou": "cIoU", "iou": "IoU", "confidence": "confidence"}
_SHOWN_HEIGHT = 336
_SHOWN_RATE = 16_000
_SPECTROGRAM = (96, 360)
_UNNAMED = "the source"


def case_card(case: Case, name: str, sample_rate: int) -> Markup:
    """A section of the page.

    Args:
        case: The item.
        name: What switches on the page call it.
        sample_rate: Samples per second of its sound.

    Returns:
        The section.
    """
    panels = case.item.panels
    kind = f"k{panels}" if panels <= 2 else "many"
    title = tag("h3", f"{100 * case.score:.1f} ", tag("code", case.item.id))
    return tag(
        "section",
        tag("header", title),
        _stage(case, name),
        _sound(case, sample_rate),
        tag("div", _table(case, name), *_also_detected(case), class_="found"),
        class_=f"card scene {kind}",
        id=name,
    )


def _stage(case: Case, name: str) -> Markup:
    labels = ", ".join(source.label or _UNNAMED for source in case.sources)
    layers = [layer for number in range(len(case.sources)) for layer in _layers(case, name, number)]
    outlines = [
        tag("image", href=outline_uri(source.target > 0), preserveAspectRatio="none")
        for source in case.sources
    ]
    picture = photo_uri(_picture(case))
    return tag(
        "div",
        tag("img", class_="picture", src=picture, alt=f"What sounds: {labels}"),
        *layers,
        tag("svg", *outlines, class_="truth", aria_hidden="true"),
        class_="stage",
    )


def _layers(case: Case, name: str, number: int) -> list[Markup]:
    """The different maps of a source, each under the sources of labels that it is for."""
    source = case.sources[number]
    kinds: list[tuple[list[str], SoundSource]] = []
    for labels, grid in source.maps.items():
        same = next((kind for kind in kinds if np.array_equal(kind[1].grid, grid)), None)
        if same is not None:
            same[0].append(labels)
        else:
            height, width = source.target.shape
            found = SoundSource(source.label or "", 0.0, grid, (height, width))
            kinds.append(([labels], found))
    return [
        tag(
            "img",
            class_=f"layer {' '.join(shown)}",
            data_row=f"{name}-{number}",
            src=heat_uri(found, source_color(number)),
            alt="",
        )
        for shown, found in kinds
    ]


def _picture(case: Case) -> Picture:
    """The panels side by side, as high as is shown, each as wide as the first.

    Very wide ones are less high: none has more than 2048 pixels along a side.
    """
    height, width = case.sample.pictures[0].shape[:2]
    shown = (_SHOWN_HEIGHT, max(round(_SHOWN_HEIGHT * width / height), 1))
    shown_height, shown_width = reduced_size(shown, LONGEST_DRAWN)
    panels = [
        Image.fromarray(picture).resize((shown_width, shown_height), Image.Resampling.LANCZOS)
        for picture in case.sample.pictures
    ]
    return np.concatenate([np.array(panel) for panel in panels], axis=1)


def _sound(case: Case, sample_rate: int) -> Markup:
    rate = min(sample_rate, _SHOWN_RATE)
    wave = resampled(case.sample.waveform, sample_rate, rate)
    picture = spectrogram_picture(wave, rate, _SPECTROGRAM)
    loudest = max(float(np.abs(wave).max()), 1.0)  # the sum of several sounds may be too loud
    samples = np.rint(wave / loudest * 32767).astype(np.int16)
    pitch = f"{LOWEST:.0f} Hz to {rate / 2000:.0f} kHz"
    image = tag("img", src=picture_uri(picture), alt="Its spectrogram")
    player = tag(
        "audio",
        controls=True,
        preload="metadata",
        src=sound_uri(samples, rate),
        aria_label="The sound",
    )
    caption = f"The sound. {len(wave) / rate:.2f} s from left to right, {pitch}."
    return tag(
        "figure",
        tag("div", image, tag("span", class_="head")),
        player,
        tag("figcaption", caption),
        class_="sound",
    )


def _table(case: Case, name: str) -> Markup:
    kinds = list(case.sources[0].measures)
    measures = list(case.sources[0].measures[kinds[0]])
    alone = kinds == ["none"]
    heads = ["Source", *(_head(measure, kind, alone) for kind in kinds for measure in measures)]
    rows = [
        _row(source, f"{name}-{number}", number, heads[1:])
        for number, source in enumerate(case.sources)
    ]
    head = tag("tr", *(tag("th", text, scope="col") for text in heads))
    return tag("table", tag("thead", head), tag("tbody", *rows))


def _head(measure: str, labels: LabelSource, alone: bool) -> str:
    return MEASURES[measure] if alone else f"{MEASURES[measure]}, {labels}"


def _row(source: CaseSource, switches: str, number: int, heads: Sequence[str]) -> Markup:
    missed = "detected" in source.measures and "detected" not in source.maps
    box = tag(
        "input",
        type="checkbox",
        checked=True,
        data_switches=switches,
        data_detected="no" if missed else "yes",
    )
    note = joined(" ", tag("small", "not detected")) if missed else Markup()
    swatch = tag("span", class_=f"swatch c{number}")
    label = tag("label", box, swatch, tag("span", source.label or _UNNAMED, note))
    values = [value for some in source.measures.values() for value in some.values()]
    cells = [
        tag("td", "-" if np.isnan(value) else f"{100 * value:.1f}", data_name=head, class_="number")
        for head, value in zip(heads, values, strict=True)
    ]
    return tag("tr", tag("th", label, scope="row"), *cells, class_="missed" if missed else None)


def _also_detected(case: Case) -> list[Markup]:
    true = {source.label for source in case.sources}
    others = [label for label in case.detected if label not in true]
    if not others:
        return []
    verb = "Taken for it" if true == {None} else "Falsely detected"
    return [tag("p", f"{verb}: {', '.join(others)}.", class_="quiet")]
