"""A result that shows itself: in a notebook, as a plot, as a table."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.render.inputs import picture
from tvsl.encoded import PictureSource
from tvsl.errors import MissingFileError, UsageError, VocabularyError
from tvsl.localization import Localization, SoundSource
from tvsl.media.writing import write_png
from tvsl.segments import mark_duplicates

SIZE = (60, 90)


def grid(row: int, column: int) -> NDArray[np.float32]:
    rows, columns = np.mgrid[:6, :9]
    return np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 4).astype(np.float32)


def result(picture: PictureSource | None = None) -> Localization:
    sources = (
        SoundSource("dog <b>", 0.9, grid(2, 2), SIZE, (0.0, 1.0), also=("wolf",)),
        SoundSource("犬 $x$", 0.8, grid(2, 2), SIZE, (0.0, 1.0)),
        SoundSource("flat", 0.1, np.zeros((6, 9), np.float32), SIZE),
    )
    found = Localization(sources, "given", "m/t", SIZE, 1.5, (0.0, 1.0), picture=picture)
    return mark_duplicates(found)


def with_picture() -> Localization:
    return result(PictureSource(picture(*SIZE)))


class _Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.images.append(str(dict(attrs)["src"]))
        else:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_representation_is_one_short_line() -> None:
    found = with_picture()
    assert repr(found) == (
        "Localization(labels given; 'dog <b>' 0.90, '犬 $x$' 0.80, 'flat' 0.10; at 1.5 s; "
        "90 x 60; m/t)"
    )
    many = replace(found, sources=found.sources * 30)
    assert len(repr(many)) < 200
    assert repr(found.sources[2]) == "SoundSource('flat' 0.10, box None, 6 x 9)"


def test_equal_is_what_is_written_alike() -> None:
    one, other = with_picture(), result()
    assert one == other
    assert hash(one) == hash(other)
    assert Localization.from_dict(one.to_dict()) == one
    assert len({one, other}) == 1
    assert one != replace(one, time=2.0)
    assert one.sources[0] != replace(one.sources[0], grid=grid(3, 3))
    assert one.sources[0] != replace(one.sources[0], size=(6, 9))
    assert one != "a text"
    assert one.sources[0] != 1


def test_a_notebook_shows_picture_and_table() -> None:
    html = with_picture()._repr_html_()
    assert len(_Tags(html).images) == 4  # the picture and three maps
    assert all(uri.startswith("data:image/jpeg;base64,") for uri in _Tags(html).images)
    assert "dog &lt;b&gt;" in html
    assert "also wolf" in html
    assert "same place as dog &lt;b&gt;" in html
    assert "1.50 s" in html
    without = result()._repr_html_()
    assert len(_Tags(without).images) == 3
    empty = replace(result(), sources=(), notices=("nothing <sounds>",))
    assert "nothing &lt;sounds&gt;" in empty._repr_html_()


def test_the_picture_of_a_file_is_read_when_it_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_png(path, picture(*SIZE))
    found = result(PictureSource(path))
    assert np.array_equal(found.overlay(), with_picture().overlay())
    path.unlink()
    assert "cannot be shown" in found._repr_html_()
    with pytest.raises(MissingFileError):
        found.overlay()
    assert len(_Tags(found._repr_html_()).images) == 3


def test_an_overlay_leaves_duplicates_out() -> None:
    found = with_picture()
    drawn, all_drawn = found.overlay(), found.overlay(duplicates=True)
    assert drawn.shape == all_drawn.shape == (320, 480, 3)
    assert not np.array_equal(drawn, all_drawn)
    assert np.array_equal(drawn, result().overlay(picture(*SIZE)))
    with pytest.raises(UsageError, match="does not know its picture"):
        result().overlay()
    with pytest.raises(UsageError, match="90 x 60"):
        found.overlay(picture(*(60, 91)))


def test_a_plot_has_a_panel_for_each_source() -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = with_picture().plot()
    titles = [place.get_title() for place in axes.flat]
    assert titles[:3] == ["labels given at 1.50 s", "dog <b>  0.90", "flat  0.10"]
    figure.canvas.draw()
    pyplot.close(figure)
    own, place = pyplot.subplots()
    assert result().plot(picture(*SIZE), place) == (own, place)
    assert len(place.images) == 1
    pyplot.close(own)
    with pytest.raises(UsageError, match="picture"):
        result().plot()


@pytest.mark.parametrize(
    ("method", "module", "extra"),
    [
        ("plot", "matplotlib", "plot"),
        ("to_pandas", "pandas", "pandas"),
        ("to_supervision", "supervision", "supervision"),
    ],
)
def test_a_missing_library_is_named_with_its_extra(
    method: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [one for one in sys.modules if one.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=re.escape(f"pip install 'tvsl[{extra}]'")):
        getattr(with_picture(), method)()


def test_a_table_has_a_row_for_each_source() -> None:
    frame = result().to_pandas()
    assert list(frame.columns[:3]) == ["time", "label", "score"]
    assert frame["label"].tolist() == ["dog <b>", "犬 $x$", "flat"]
    box = result().sources[0].box
    assert box is not None
    assert frame.loc[0, ["left", "top", "right", "bottom"]].tolist() == box.to_list()
    assert frame["left"].isna().tolist() == [False, False, True]
    assert frame["duplicate_of"].tolist()[1] == "dog <b>"
    assert len(replace(result(), sources=()).to_pandas()) == 0


@pytest.mark.filterwarnings("ignore:OpenCV")
def test_boxes_for_supervision() -> None:
    found = result().to_supervision()
    assert found.xyxy.tolist() == [one.box.to_list() for one in result().sources if one.box]
    assert found.confidence.tolist() == pytest.approx([0.9, 0.8])
    assert found.class_id.tolist() == [0, 1]
    assert found.data["class_name"].tolist() == ["dog <b>", "犬 $x$"]
    known = ["flat", "犬 $x$", "Dog <B>"]
    assert result().to_supervision(known).class_id.tolist() == [2, 1]
    with pytest.raises(VocabularyError, match="Not in the vocabulary"):
        result().to_supervision(["flat"])
    assert len(replace(result(), sources=()).to_supervision()) == 0


def test_maps_for_numpy(tmp_path: Path) -> None:
    found = result()
    named = replace(found, sources=(replace(found.sources[0], label="file"), *found.sources[1:]))
    path = named.save_npz(tmp_path / "a.npz")
    with np.load(path, allow_pickle=False) as maps:
        assert set(maps.files) == {"file", "犬 $x$", "flat"}
        assert np.array_equal(maps["file"], found.sources[0].grid)
    named.save_npz(path, heatmaps=True, force=True)
    with np.load(path) as maps:
        assert np.array_equal(maps["file"], found.sources[0].heatmap)
