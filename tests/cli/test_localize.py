from __future__ import annotations

import json
import re
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image

from tests.cli.running import Ran, run, run_alone, written
from tests.localization_schema import check_schema
from tests.media.media_makers import make_video
from tests.small_model import RATE, tone
from tvsl import Localizer, __version__
from tvsl.audioclip.encoder import AudioCLIPEncoder, load_audioclip
from tvsl.cli import result_files
from tvsl.methods import METHODS
from tvsl.methods.checkpoint_io import save_head
from tvsl.methods.ez_vsl import EZVSL, EZVSLConfig
from tvsl.methods.text_only import TextOnly, TextOnlyConfig
from tvsl.models import is_installed

LABELS = "dog barking,train"

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def localize(checkpoint: Path, media: Path, tmp_path: Path) -> Localize:
    return Localize(checkpoint, media, tmp_path / "out")


class Localize:
    """Runs ``tvsl localize`` with the small model on files of the media folder."""

    def __init__(self, checkpoint: Path, media: Path, out: Path) -> None:
        self.checkpoint, self.media, self.out = checkpoint, media, out

    def arguments(self, *arguments: str) -> list[str | Path]:
        here = {path.name: path for path in self.media.iterdir()}
        return [
            "localize",
            *(here.get(text, text) for text in arguments),
            "-o",
            self.out,
            "--model",
            self.checkpoint,
        ]

    def __call__(self, *arguments: str) -> Ran:
        return run(*self.arguments(*arguments))

    def content(self, name: str = ".") -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.out / name / "localization.json").read_text())
        check_schema(loaded)
        return loaded


PHOTO = ("photo.png", "--audio", "bark.wav")


def check_moment(moment: dict[str, Any], width: int, height: int, labels: list[str]) -> None:
    assert set(moment) >= {"time", "width", "height", "model", "label_source", "box_protocol"}
    assert (moment["width"], moment["height"]) == (width, height)
    assert [source["label"] for source in moment["sources"]] == labels
    for source in moment["sources"]:
        assert isinstance(source["score"], float)
        left, top, right, bottom = source["box"]
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        start, end = source["time_range"]
        assert 0 <= start < end
        assert np.array(source["map"]).ndim == 2


# What is written


def test_a_picture_with_a_sound(localize: Localize) -> None:
    ran = localize(*PHOTO, "--labels", LABELS, "--outputs", "sheet,moments", "--duplicates")
    assert ran.code == 0
    assert written(localize.out) == {
        "01_dog-barking.png",
        "02_train.png",
        "contact_sheet.jpg",
        "localization.json",
    }
    content = localize.content()
    assert content["input"] == str(localize.media / "photo.png")
    assert content["audio"] == str(localize.media / "bark.wav")
    assert content["tvsl"] == __version__
    assert content["model"] == "small.safetensors/tvsl"
    assert content["label_source"] == "given"
    (moment,) = content["moments"]
    assert moment["time"] is None
    check_moment(moment, 80, 60, ["dog barking", "train"])
    for name in written(localize.out) - {"localization.json"}:
        with Image.open(localize.out / name) as image:
            image.load()
            assert image.mode == "RGB"
            assert image.width >= 80
            assert image.height >= 60


def test_the_labels_maps_differ_in_the_pictures(localize: Localize) -> None:
    localize(*PHOTO, "--labels", LABELS, "--outputs", "moments", "--duplicates")
    first, second = (Image.open(path) for path in sorted(localize.out.glob("0*.png")))
    assert first.size == second.size
    assert np.any(np.asarray(first) != np.asarray(second))


def streams(path: Path) -> tuple[int, float, float, float]:
    """Frames, seconds of picture, seconds of sound and the sound's loudest sample."""
    with av.open(str(path)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    with av.open(str(path)) as container:
        sounds = [frame.to_ndarray() for frame in container.decode(audio=0)]
        rate = container.streams.audio[0].rate
    length = sum(sound.shape[1] for sound in sounds) / rate
    return len(times), times[-1] - times[0], length, max(float(abs(s).max()) for s in sounds)


def test_a_video(localize: Localize) -> None:
    options = ("--outputs", "video,sheet,moments", "--duplicates")
    ran = localize("clip.mp4", "--labels", LABELS, *options)
    assert ran.code == 0
    content = localize.content()
    assert content["audio"] is None
    times = [moment["time"] for moment in content["moments"]]
    assert times == pytest.approx([0, 1, 2])
    for moment in content["moments"]:
        check_moment(moment, 64, 48, ["dog barking", "train"])
    names = written(localize.out)
    assert {"overlay.mp4", "contact_sheet.jpg", "localization.json"} <= names
    inner = [name for name in names if name.startswith("moments/")]
    assert sum("dog-barking" in name for name in inner) == 3
    assert sum("train" in name for name in inner) == 3
    frames, shown, heard, loudest = streams(localize.out / "overlay.mp4")
    original = streams(localize.media / "clip.mp4")
    assert frames == original[0] == 30
    assert shown == pytest.approx(original[1], abs=0.02)
    assert heard == pytest.approx(original[2], abs=0.1)
    assert loudest == pytest.approx(original[3], abs=0.05)


def test_one_moment_of_a_video(localize: Localize) -> None:
    options = ("--outputs", "sheet,moments", "--duplicates")
    ran = localize("clip.mp4", "--at", "1.5", "--labels", LABELS, *options)
    assert ran.code == 0
    (moment,) = localize.content()["moments"]
    assert moment["time"] == pytest.approx(1.5)
    assert {"01_dog-barking.png", "02_train.png", "contact_sheet.jpg"} <= written(localize.out)


def test_every_says_how_far_apart(localize: Localize) -> None:
    assert localize("clip.mp4", "--every", "0.5", "--labels", "dog").code == 0
    times = [moment["time"] for moment in localize.content()["moments"]]
    assert times == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5])


def test_the_resolution_is_stated(localize: Localize) -> None:
    ran = localize("clip.mp4", "--every", "0.5", "--labels", "dog")
    assert ran.code == 0
    content = localize.content()
    assert content["resolution"] == {"step": 0.5, "window": 1.0, "span": 0.5}
    assert content["settings"]["window"] == 1.0
    for moment in content["moments"]:
        start, end = moment["heard"]
        assert start <= moment["time"] <= end
        assert end - start <= 1.001
    assert "0.5 s" in ran.out
    assert "1 s" in ran.out


def test_pixels_that_are_not_square(localize: Localize, tmp_path: Path) -> None:
    path = tmp_path / "wide.mp4"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=5)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.sample_aspect_ratio = Fraction(2)
        sound = container.add_stream("aac", rate=RATE, layout="mono")
        for number in range(10):
            pixels = np.full((48, 64, 3), 20 * number, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode(None))
        block = av.AudioFrame.from_ndarray(tone(2.0)[None], format="fltp", layout="mono")
        block.sample_rate = RATE
        container.mux(sound.encode(block))
        container.mux(sound.encode(None))
    options = ("--outputs", "video,moments", "--duplicates")
    assert localize(str(path), "--labels", LABELS, "--at", "1", *options).code == 0
    content = localize.content()
    assert content["stored"] == {
        "width": 64,
        "height": 48,
        "sample_aspect_ratio": "2:1",
        "rotation": 0,
    }
    (moment,) = content["moments"]
    check_moment(moment, 128, 48, LABELS.split(","))
    assert "square pixels" in moment["box_pixels"]
    assert len(moment["sources"][0]["map"][0]) > len(moment["sources"][0]["map"])
    with Image.open(localize.out / "02_train.png") as image:
        assert image.size == (480, 180)  # enlarged: names could not be read
    with av.open(str(localize.out / "overlay.mp4")) as container:
        shown = container.streams.video[0]
        aspect = shown.sample_aspect_ratio or 1
        assert shown.width * aspect / shown.height == pytest.approx(128 / 48)


def test_many_moments_give_a_bounded_number_of_pictures(
    localize: Localize, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result_files, "MOST_DRAWN_MOMENTS", 3)
    options = ("--every", "0.5", "--labels", "dog", "--window", "0.2", "--outputs", "moments")
    assert localize("clip.mp4", *options).code == 0
    assert len(localize.content()["moments"]) == 6
    assert len([name for name in written(localize.out) if "01_dog" in name]) == 3


def test_a_sound_that_is_encoded_once(localize: Localize) -> None:
    options = ("--labels", "dog", "--outputs", "json", "--audio-stream")
    assert localize("clip.mp4", *options).code == 0
    content = localize.content()
    check_schema(content)
    assert content["settings"]["audio_stream"] is True
    refused = localize("clip.mp4", *options, "--every", "9", "--force")
    assert refused.code == 2
    assert "share no sound" in refused.err


def test_a_window_bounds_what_is_heard(localize: Localize) -> None:
    assert localize("clip.mp4", "--at", "1.5", "--labels", "dog", "--window", "0.5").code == 0
    (moment,) = localize.content()["moments"]
    assert moment["sources"][0]["time_range"] == pytest.approx([1.25, 1.75], abs=1e-3)


def test_detection_by_default(localize: Localize) -> None:
    assert localize(*PHOTO).code == 0
    content = localize.content()
    assert content["label_source"] == content["moments"][0]["label_source"] == "detected"
    assert 1 <= len(content["moments"][0]["sources"]) <= 8


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        (["--labels", "dog,cat"], ["dog", "cat"]),
        (["--labels", " dog ,  cat,"], ["dog", "cat"]),
        (["--labels", "dog, big;cat"], ["dog, big", "cat"]),
        (["--labels", "dog", "--labels", "cat"], ["dog", "cat"]),
        (["--labels", "dog, big;", "--labels", "cat,cow"], ["dog, big", "cat", "cow"]),
        (["--labels", "犬,../x y"], ["犬", "../x y"]),
    ],
)
def test_labels(localize: Localize, options: list[str], labels: list[str]) -> None:
    assert localize(*PHOTO, *options, "--outputs", "moments", "--duplicates").code == 0
    (moment,) = localize.content()["moments"]
    assert [source["label"] for source in moment["sources"]] == labels
    assert len(written(localize.out)) == len(labels) + 1  # none beside or outside the folder


def test_a_vocabulary_file(localize: Localize, tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("# mine\ndog, big\n\n  cat \ncow\n", encoding="utf-8")
    assert localize(*PHOTO, "--vocabulary", str(path), "--sources", "3").code == 0
    content = localize.content()
    assert content["label_source"] == "detected"
    found = {source["label"] for source in content["moments"][0]["sources"]}
    assert found == {"dog, big", "cat", "cow"}


@pytest.mark.parametrize("preset", ["tvsl", "paper", "released"])
def test_every_preset(localize: Localize, preset: str) -> None:
    assert localize(*PHOTO, "--labels", LABELS, "--preset", preset).code == 0
    assert localize.content()["model"].endswith(f"/{preset}")


@pytest.mark.parametrize("method", [name for name, kind in METHODS.items() if kind.works_untrained])
def test_every_method_of_use_untrained(localize: Localize, method: str) -> None:
    assert localize(*PHOTO, "--labels", LABELS, "--method", method).code == 0
    content = localize.content()
    assert content["model"].endswith(f"/{method}")
    assert content["settings"]["method"] == method
    (moment,) = content["moments"]
    assert [source["label"] for source in moment["sources"]] == LABELS.split(",")


def test_a_head_of_the_named_method(localize: Localize, tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = AudioCLIPEncoder(load_audioclip(localize.checkpoint))
    head = EZVSL(EZVSLConfig(embedding=32, dimension=8))
    folder = str(save_head(head, encoder, tmp_path / "mine"))
    options = ("--labels", LABELS, "--head", folder)
    assert localize(*PHOTO, *options, "--method", "ez-vsl").code == 0
    assert localize.content()["model"] == "small.safetensors/ez-vsl (mine)"
    first, second = localize.content()["moments"][0]["sources"]
    assert first["map"] == second["map"]
    other = localize(*PHOTO, *options, "--method", "lvs", "--force")
    assert other.code == 2
    assert "'ez-vsl', not of 'lvs'" in other.err
    undetected = localize("clip.mp4", "--head", folder, "--force")
    assert undetected.code == 2
    assert "'ez-vsl' cannot detect" in undetected.err
    assert "--labels" in undetected.err


@pytest.mark.parametrize(
    "options", [["--flip-average", "mirror"], ["--flip-average", "turn"], ["--device", "cpu"]]
)
def test_other_options_run(localize: Localize, options: list[str]) -> None:
    assert localize(*PHOTO, "--labels", LABELS, *options).code == 0
    assert localize.content()["moments"][0]["sources"]


def test_the_same_command_twice_gives_the_same(localize: Localize) -> None:
    contents = []
    for _ in range(2):
        assert localize("clip.mp4", "--every", "2", "--labels", LABELS, "--force").code == 0
        contents.append(localize.content())
    assert contents[0] == contents[1]


# Streams and exit codes


def test_json_is_pure_and_the_rest_goes_to_stderr(checkpoint: Path, media: Path) -> None:
    out = checkpoint.parent / "alone"
    ran = run_alone(
        "localize",
        media / "clip.mp4",
        media / "absent.mp4",
        *("-o", out, "--model", checkpoint, "--labels", LABELS, "--json"),
    )
    assert ran.code == 1
    printed = json.loads(ran.out)
    (result,) = printed["results"]
    (failure,) = printed["failures"]
    assert result["input"] == str(media / "clip.mp4")
    assert failure["input"] == str(media / "absent.mp4")
    assert "absent.mp4" in failure["error"]
    assert result.pop("folder") == str(out / "clip")
    assert {*result["files"], "localization.json"} == set(written(out / "clip"))
    assert result == json.loads((out / "clip" / "localization.json").read_text())
    assert "Writing overlay.mp4" in ran.err
    assert "absent.mp4" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("every", ["0.3", "1", "2", "7"])
def test_progress_reaches_its_end(localize: Localize, every: str) -> None:
    ran = localize("clip.mp4", "--every", every, "--labels", "dog")
    count = len(localize.content()["moments"])
    assert f"Localizing clip.mp4: {count} of {count}\n" in ran.err


def test_without_json_one_line_says_what_was_found_and_where_it_is(localize: Localize) -> None:
    (line,) = localize(*PHOTO, "--labels", LABELS).out.splitlines()
    for part in ("photo.png", *LABELS.split(","), str(localize.out)):
        assert part in line


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("absent.mp4", "no such file"),
        ("empty.mp4", "empty"),
        ("junk.mp4", "broken"),
        ("cut.mp4", "cut off|broken"),
        ("mute.mp4", "sound|audio"),
        ("hushed.mp4", "silent"),
        ("bark.wav", "picture"),
    ],
)
def test_a_broken_input_is_named_and_stops_no_other(
    localize: Localize, bad: str, says: str
) -> None:
    ran = localize(bad, "clip.mp4", "--every", "2", "--labels", "dog")
    assert ran.code == 1
    lines = [line for line in ran.err.splitlines() if line.startswith("tvsl: ")]
    assert len(lines) == 1
    assert bad in lines[0]
    assert re.search(says, lines[0])
    assert {path.name for path in localize.out.iterdir()} == {"clip"}
    assert localize.content("clip")["moments"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("absent.mp4",),
        ("junk.mp4",),
        ("cut.mp4",),
        ("mute.mp4",),
        ("hushed.mp4",),
        ("clip.mp4", "--at", "99"),
        ("photo.png", "--audio", "silent.wav"),
        ("photo.png", "--audio", "absent.wav"),
        ("photo.png", "--audio", "junk.mp4"),
        ("photo.png", "--audio", "photo.png"),
        ("bark.wav",),
    ],
)
def test_nothing_is_left_after_a_failure(localize: Localize, arguments: tuple[str, ...]) -> None:
    ran = localize(*arguments, "--labels", "dog")
    assert ran.code == 1
    assert ran.out == ""
    assert not localize.out.exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("photo.png",), "--audio"),
        (("clip.mp4", "--audio", "bark.wav"), "--audio"),
        (("photo.png", "--audio", "bark.wav", "--at", "1"), "--at"),
        (("clip.mp4", "--at", "1", "--every", "1"), "--every"),
        (("clip.mp4", "--at", "-1"), "--at"),
        (("clip.mp4", "--at", "1", "--end", "2"), "--at"),
        (("clip.mp4", "--start", "2", "--end", "1"), "--end"),
        (("clip.mp4", "--outputs", "pages"), "'pages'.*page, video"),
        (("clip.mp4", "--outputs", ","), "--outputs is empty"),
        (("clip.mp4", "--format", "xml"), "jsonl"),
        (("clip.mp4", "hushed.mp4", "--format", "srt", "--json"), "srt"),
        (("-", "-"), "standard input"),
        (("photo.png", "--audio", "bark.wav", "--smooth", "1"), "--smooth"),
        (("photo.png", "--audio", "bark.wav", "--outputs", "video"), "video"),
        (("clip.mp4", "--every", "0"), "--every"),
        (("clip.mp4", "--every", "-1"), "--every"),
        (("clip.mp4", "--sources", "0"), "--sources"),
        (("clip.mp4", "--sources", "1000", "--at", "1"), "sources"),
        (("clip.mp4", "--window", "0"), "--window"),
        (("clip.mp4", "--panels", "0"), "--panels"),
        (("clip.mp4", "--panels", "3"), r"clip\.mp4.*3 equal panels"),
        ((*PHOTO, "--panels", "3"), r"photo\.png.*3 equal panels"),
        (("clip.mp4", "--preset", "best"), "tvsl, paper, released"),
        (("clip.mp4", "--method", "best"), "tvsl, .*text-only"),
        (("clip.mp4", "--method", "ez-vsl"), "tvsl train --method ez-vsl.*--head"),
        (("clip.mp4", "--method", "tvsl", "--preset", "paper"), "not both"),
        (("clip.mp4", "--method", "centre"), "'centre' cannot detect.*--labels"),
        (("clip.mp4", "--flip-average", "best"), "mirror"),
        (("clip.mp4", "--precision", "best"), "bfloat16"),
        (("clip.mp4", "--device", "toaster"), "toaster"),
        (("clip.mp4", "--labels", "dog", "--sources", "1"), "sources"),
        (("clip.mp4", "--labels", "dog", "--vocabulary", "names.txt"), "vocabulary"),
        (("clip.mp4", "--vocabulary", "absent.txt"), "absent.txt"),
        (("clip.mp4", "--vocabulary", "photo.png"), "photo.png"),
        ((*PHOTO, "--labels", "dog,dog"), "dog"),
        ((*PHOTO, "--labels", " , "), "name|label"),
        ((*PHOTO, "--labels", "very " * 100), "tokens"),
    ],
)
def test_wrong_usage_exits_with_2(
    localize: Localize, arguments: tuple[str, ...], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (localize.media / "names.txt").write_text("dog\ncat\n")
    ran = localize(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert re.search(says, ran.err)
    assert "Traceback" not in ran.err
    assert not localize.out.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("clip.mp4", "--at", "1", "--every", "1"),
        ("clip.mp4", "--labels", "dog", "--sources", "1"),
        ("clip.mp4", "--labels", "dog,dog"),
        ("clip.mp4", "--labels", " "),
        ("clip.mp4", "--vocabulary", "absent.txt"),
        ("clip.mp4", "--preset", "best"),
        ("clip.mp4", "--method", "best"),
        ("clip.mp4", "--method", "lvs"),
        ("absent.mp4",),
        ("photo.png",),
        ("photo.png", "--audio", "absent.wav"),
    ],
)
def test_what_cannot_succeed_is_said_before_weights_are_fetched(
    localize: Localize, home: Path, arguments: tuple[str, ...]
) -> None:
    """Nobody should wait for half a gigabyte to hear of a typing error."""
    command = localize.arguments(*arguments)
    command[command.index("--model") + 1] = "audioclip"
    ran = run(*command)
    assert ran.code in (1, 2)
    assert "download" not in ran.err
    assert not home.exists()


def test_a_usage_error_of_one_input_stops_no_other(localize: Localize) -> None:
    ran = localize("photo.png", "clip.mp4", "--at", "1", "--labels", "dog", "--json")
    assert ran.code != 0
    assert "photo.png" in ran.err
    assert localize.content("clip")["moments"]
    assert len(json.loads(ran.out)["results"]) == 1


@pytest.mark.parametrize("model", ["absent.pt", "audioklip", "junk.mp4", "photo.png"])
def test_a_wrong_model_is_named(localize: Localize, model: str) -> None:
    command = localize.arguments("clip.mp4")
    path = localize.media / model
    command[command.index("--model") + 1] = path if path.exists() else model
    ran = run(*command)
    assert ran.code == 1
    assert model in ran.err
    assert "Traceback" not in ran.err
    assert not localize.out.exists()


def test_a_model_that_cannot_be_loaded_is_told_once(localize: Localize, tmp_path: Path) -> None:
    """It is loaded while the first input is worked on, and ends the work on all of them."""
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(localize.checkpoint.read_bytes()[:-1000])
    shutil.copy(localize.media / "clip.mp4", tmp_path / "other.mp4")
    command = localize.arguments("clip.mp4", tmp_path / "other.mp4")
    command[command.index("--model") + 1] = damaged
    ran = run(*command)
    assert ran.code == 1
    assert [line for line in ran.err.splitlines() if line.startswith("tvsl: ")] == [
        line for line in ran.err.splitlines() if damaged.name in line
    ]
    assert ran.err.count(damaged.name) == 1
    assert not localize.out.exists()


def test_offline_it_says_what_to_put_where(localize: Localize, home: Path) -> None:
    command = localize.arguments("clip.mp4")
    command[command.index("--model") + 1] = "audioclip"
    ran = run(*command)
    assert ran.code == 1
    assert "https://" in ran.err
    assert str(home / "weights") in ran.err
    assert not localize.out.exists()


# Earlier results


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        pytest.fail("work began although results stand in the way")

    monkeypatch.setattr(Localizer, "from_pretrained", refuse)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("localization.json", ("clip.mp4",)),
        ("clip/localization.json", ("photo.png", "clip.mp4")),
        ("contact_sheet.jpg", ("clip.mp4",)),
        ("overlay.mp4", ("clip.mp4",)),
    ],
)
def test_earlier_results_are_refused_before_any_work(
    localize: Localize, name: str, inputs: tuple[str, ...]
) -> None:
    earlier = localize.out / name
    earlier.parent.mkdir(parents=True)
    earlier.write_text("precious")
    ran = localize(*inputs, "--labels", "dog")
    assert ran.code == 1
    assert "--force" in ran.err
    assert earlier.read_text() == "precious"
    assert written(localize.out) == {name}


@pytest.mark.usefixtures("no_work")
def test_a_file_in_place_of_the_folder_is_refused_before_any_work(localize: Localize) -> None:
    localize.out.write_text("precious")
    ran = localize("clip.mp4")
    assert ran.code == 1
    assert str(localize.out) in ran.err
    assert localize.out.read_text() == "precious"


def test_other_files_in_the_folder_are_left_alone(localize: Localize) -> None:
    localize.out.mkdir()
    (localize.out / "notes.txt").write_text("mine")
    assert localize(*PHOTO, "--labels", "dog").code == 1
    assert localize(*PHOTO, "--labels", "dog", "--force").code == 0
    assert localize(*PHOTO, "--labels", "cat", "--force").code == 0
    assert (localize.out / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((*PHOTO, "--labels", "dog,cat"), (*PHOTO, "--labels", "cow")),
        (("clip.mp4", "--labels", "dog"), ("clip.mp4", "--labels", "cow", "--at", "1")),
        (("clip.mp4", "--labels", "dog"), ("clip.mp4", "--labels", "cow", "--every", "2")),
        (("clip.mp4", "--labels", "dog", "--at", "1"), (*PHOTO, "--labels", "cow")),
    ],
)
def test_force_leaves_no_result_of_the_earlier_run(
    localize: Localize, first: tuple[str, ...], second: tuple[str, ...], tmp_path: Path
) -> None:
    assert localize(*first).code == 0
    assert localize(*second, "--force").code == 0
    fresh = Localize(localize.checkpoint, localize.media, tmp_path / "fresh")
    assert fresh(*second).code == 0
    assert written(localize.out) == written(fresh.out)


def test_a_failed_forced_run_keeps_the_earlier_results(localize: Localize) -> None:
    assert localize("clip.mp4", "--labels", "dog").code == 0
    before = {name: (localize.out / name).read_bytes() for name in written(localize.out)}
    assert localize("hushed.mp4", "--force", "--labels", "dog").code == 1
    assert {name: (localize.out / name).read_bytes() for name in written(localize.out)} == before


# Several inputs


def test_several_inputs_get_a_folder_each(localize: Localize, tmp_path: Path) -> None:
    other = make_video(tmp_path / "clip.mp4", count=5, rate=5, sound=tone(1.0, RATE))
    ran = localize("clip.mp4", str(other), "--at", "0.5", "--labels", "dog")
    assert ran.code == 0
    folders = sorted(path.name for path in localize.out.iterdir())
    assert len(folders) == 2
    inputs = {localize.content(name)["input"] for name in folders}
    assert inputs == {str(localize.media / "clip.mp4"), str(other)}


def test_pictures_may_share_a_sound(localize: Localize) -> None:
    ran = localize("photo.png", "photo.png", "--audio", "bark.wav", "--labels", "dog")
    assert ran.code == 0
    assert len(list(localize.out.glob("*/localization.json"))) == 2


def test_a_folder_is_made_with_its_parents(localize: Localize) -> None:
    localize.out = localize.out / "a" / "b"
    assert localize(*PHOTO, "--labels", "dog").code == 0
    assert localize.content()


def test_a_name_that_begins_with_a_dash(localize: Localize, monkeypatch: Any) -> None:
    monkeypatch.chdir(localize.media)
    (localize.media / "-x.png").write_bytes((localize.media / "photo.png").read_bytes())
    command = ["-o", localize.out, "--model", localize.checkpoint, "--audio", "bark.wav"]
    assert run("localize", *command, "--labels", "dog", "--", "-x.png").code == 0
    assert localize.content()["input"] == "-x.png"


def test_an_input_that_is_too_large_for_the_memory_does_not_stop_the_others(
    localize: Localize, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (3000, 40), "red").save(tmp_path / "large.png")
    draw = result_files.drawing_image

    def short_of_memory(image: np.ndarray) -> np.ndarray:
        if image.shape[1] == 3000:
            raise MemoryError
        return draw(image)

    monkeypatch.setattr(result_files, "drawing_image", short_of_memory)
    options = ("--outputs", "sheet,moments", "--duplicates")
    ran = localize(str(tmp_path / "large.png"), *PHOTO, "--labels", LABELS, *options)
    assert ran.code == 1
    assert "large.png: There is not enough memory" in ran.err
    assert "Traceback" not in ran.err
    assert written(localize.out) == {
        f"photo/{name}"
        for name in ("01_dog-barking.png", "02_train.png", "contact_sheet.jpg", "localization.json")
    }


def test_a_large_picture_is_drawn_reduced_and_told_at_its_own_size(
    localize: Localize, tmp_path: Path
) -> None:
    Image.new("RGB", (4000, 1000), "red").save(tmp_path / "large.png")
    options = ("--labels", LABELS, "--outputs", "moments", "--duplicates")
    ran = localize(str(tmp_path / "large.png"), "--audio", "bark.wav", *options)
    assert ran.code == 0
    (moment,) = localize.content()["moments"]
    check_moment(moment, 4000, 1000, ["dog barking", "train"])
    with Image.open(localize.out / "02_train.png") as image:
        assert image.size == (2048, 512)


def test_a_broken_picture_is_one_line_without_a_video(localize: Localize, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), "red").save(tmp_path / "a.tif", compression="tiff_lzw")
    content = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(content[:20] + b"\xff" * 20 + content[40:])
    ran = localize(str(tmp_path / "a.tif"), "--audio", "bark.wav", "--labels", LABELS)
    assert ran.code == 1
    assert len(ran.err.splitlines()) == 1
    assert "MP4" not in ran.err
    assert not localize.out.exists()


# Nothing that is known


def silent_result(localize: Localize, *arguments: str) -> str:
    """Localize something silent; the notice that says so."""
    ran = localize(*arguments)
    assert ran.code == 0
    content = localize.content()
    assert all(moment["sources"] == [] for moment in content["moments"])
    (notice,) = content["notices"]
    assert "silent" in notice or "nothing sounds" in notice
    assert notice in ran.out
    assert notice not in ran.err
    return str(notice)


def test_a_silent_sound_is_an_answer_where_classes_are_detected(localize: Localize) -> None:
    silent_result(localize, "photo.png", "--audio", "silent.wav", "--outputs", "sheet,json")
    assert written(localize.out) == {"contact_sheet.jpg", "localization.json"}
    with Image.open(localize.out / "contact_sheet.jpg") as sheet:
        assert sheet.size[0] >= 240


@pytest.mark.parametrize("options", [(), ("--at", "0.5")])
def test_a_silent_video_is_an_answer_where_classes_are_detected(
    localize: Localize, options: tuple[str, ...]
) -> None:
    silent_result(localize, "hushed.mp4", "--outputs", "video,json", *options)
    with av.open(str(localize.out / "overlay.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 10


@pytest.fixture
def strict_head(localize: Localize, tmp_path: Path) -> str:
    """A head for which nothing is likely enough."""
    encoder = AudioCLIPEncoder(load_audioclip(localize.checkpoint))
    head = TextOnly(TextOnlyConfig(embedding=32, detection_threshold=9.0))
    return str(save_head(head, encoder, tmp_path / "strict"))


def test_nothing_that_the_model_knows_is_an_answer(localize: Localize, strict_head: str) -> None:
    ran = localize(*PHOTO, "--head", strict_head, "--outputs", "sheet,moments,json")
    assert ran.code == 0
    content = localize.content()
    (moment,) = content["moments"]
    assert moment["sources"] == []
    assert moment["heard"] is not None
    assert content["notices"] == moment["notices"]
    (notice,) = content["notices"]
    assert "nothing that the model knows sounds here; the best candidate is '" in notice
    assert "under 9.00" in notice
    assert notice in ran.out
    assert written(localize.out) == {"contact_sheet.jpg", "localization.json"}


def test_of_a_series_in_which_nothing_is_known_the_best_candidate_is_named(
    localize: Localize, strict_head: str
) -> None:
    ran = localize("clip.mp4", "--head", strict_head, "--every", "0.5")
    content = localize.content()
    assert len(content["moments"]) > 3
    best = max(
        (moment["notices"][0] for moment in content["moments"]),
        key=lambda text: float(re.search(r"with (-?[\d.]+),", text)[1]),  # type: ignore[index]
    )
    assert content["notices"] == [best]
    assert best in ran.out


def test_with_json_notices_go_to_stderr(localize: Localize, strict_head: str) -> None:
    ran = localize(*PHOTO, "--head", strict_head, "--json")
    (result,) = json.loads(ran.out)["results"]
    (notice,) = result["notices"]
    assert f"photo.png: {notice}" in ran.err


@pytest.mark.skipif(not is_installed("everyday"), reason="the model 'everyday' is not here")
def test_a_name_without_a_meaning_is_said_to_be_one(media: Path, tmp_path: Path) -> None:
    photo, bark = media / "photo.png", media / "bark.wav"
    out = tmp_path / "out"
    ran = run("localize", photo, "--audio", bark, "--labels", "dog barking,xqzzt", "-o", out)
    assert ran.code == 0
    (line,) = [line for line in ran.err.splitlines() if line.startswith("tvsl: ")]
    assert "the model knows no meaning of 'xqzzt'" in line
    content = json.loads((out / "localization.json").read_text())
    (moment,) = content["moments"]
    assert [source["label"] for source in moment["sources"]] == ["dog barking", "xqzzt"]
    assert len(content["notices"]) == 1
    assert content["notices"] == moment["notices"]
    assert content["notices"][0] in line
