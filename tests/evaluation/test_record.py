from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.data.made_files import picture
from tvsl.data import find_data
from tvsl.data.base import DataSet
from tvsl.data.targets import Mask
from tvsl.errors import OutputError
from tvsl.evaluation.evaluator import EvaluatedModels, Evaluator, load_models
from tvsl.evaluation.predict import evaluation_config
from tvsl.evaluation.record import hash_files, hash_present_files, known_record
from tvsl.synthetic import World
from tvsl.synthetic.export import export_world

COUNT = 4
Lines = list[dict[str, Any]]


@pytest.fixture(scope="module")
def models(bundle: Path) -> EvaluatedModels:
    return load_models(bundle, device="cpu", flip_average="none")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four duets of the made-up world with boxes and masks."""
    export_world(World("test"), tmp_path / "world", COUNT, 2)
    return tmp_path / "world"


def change(root: Path, by: Callable[[Lines], object]) -> None:
    path = root / "manifest.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    by(lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def redraw(path: Path) -> None:
    """Turn a map of objects upside down."""
    image = Image.open(path)
    image.load()
    image.transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(path)


def evaluator(
    models: EvaluatedModels, root: Path, out: Path, truth: str = "boxes", skip: bool = False
) -> Evaluator:
    data = find_data("folder", root=root, truth=truth)
    return Evaluator(models, data, evaluation_config(batch=2), out, skip=skip)


def measured(run: Evaluator) -> int:
    """Items that an evaluation had to read."""
    told: list[int] = []
    run.run(progress=lambda done, _: told.append(done))
    return COUNT - told[0]


def other_box(lines: Lines) -> None:
    boxes = next(iter(lines[3]["boxes"].values()))
    boxes[0][0] += 1


def swapped_frames(lines: Lines) -> None:
    lines[0]["frame"], lines[1]["frame"] = lines[1]["frame"], lines[0]["frame"]


def swapped_sounds(lines: Lines) -> None:
    lines[0]["audio"], lines[1]["audio"] = lines[1]["audio"], lines[0]["audio"]


def one_recording(lines: Lines) -> None:
    for line in lines:
        line["recording"] = "video"


def other_objects(lines: Lines) -> None:
    for thing in lines[2]["objects"]:
        thing["value"] += 1


@pytest.mark.parametrize(
    ("by", "truth", "differs"),
    [
        (other_box, "boxes", "lists"),
        (one_recording, "boxes", "lists"),
        (other_objects, "masks", "lists"),
        (swapped_frames, "boxes", "files of 2 items"),
        (swapped_sounds, "masks", "files of 2 items"),
    ],
)
def test_a_corrected_manifest_is_another_evaluation(
    by: Callable[[Lines], object],
    truth: str,
    differs: str,
    models: EvaluatedModels,
    root: Path,
    tmp_path: Path,
) -> None:
    evaluator(models, root, tmp_path / "out", truth).run()
    change(root, by)
    again = evaluator(models, root, tmp_path / "out", truth)
    with pytest.raises(OutputError, match=f"another evaluation: its {differs} differ"):
        again.run()
    again.run(force=True)
    fresh = evaluator(models, root, tmp_path / "fresh", truth)
    fresh.run()
    assert again.summarize().to_dict() == fresh.summarize().to_dict()


def test_a_redrawn_mask_is_another_evaluation(
    models: EvaluatedModels, root: Path, tmp_path: Path
) -> None:
    for truth in ("masks", "boxes"):
        evaluator(models, root, tmp_path / truth, truth).run()
    redraw(sorted((root / "masks").iterdir())[1])
    assert measured(evaluator(models, root, tmp_path / "boxes", "boxes")) == 0  # not of these
    with pytest.raises(OutputError, match="its files of 1 item differ"):
        evaluator(models, root, tmp_path / "masks", "masks").run()


def test_a_moved_data_set_goes_on(models: EvaluatedModels, root: Path, tmp_path: Path) -> None:
    evaluator(models, root, tmp_path / "out", "masks").run()
    moved = shutil.copytree(root, tmp_path / "elsewhere" / "world", copy_function=shutil.copy)
    shutil.rmtree(root)
    assert measured(evaluator(models, moved, tmp_path / "out", "masks")) == 0
    manifest = Path(shutil.move(moved / "manifest.jsonl", tmp_path / "other.jsonl"))
    data = find_data("folder", root=moved, truth="masks", manifest=manifest)
    assert measured(Evaluator(models, data, evaluation_config(batch=2), tmp_path / "out")) == 0


def test_mended_masks_are_measured_and_what_is_gone_is_not_needed(
    models: EvaluatedModels, root: Path, tmp_path: Path
) -> None:
    mask, frame = sorted((root / "masks").iterdir())[1], sorted((root / "frames").iterdir())[0]
    whole = mask.read_bytes()
    for broken in (None, b"no picture"):
        mask.unlink() if broken is None else mask.write_bytes(broken)
        evaluator(models, root, tmp_path / "out", "masks", skip=True).run()
    mask.write_bytes(whole)
    assert measured(evaluator(models, root, tmp_path / "out", "masks")) == 2  # one batch
    for path in (mask, frame):
        path.unlink()
        assert measured(evaluator(models, root, tmp_path / "out", "masks")) == 0


@pytest.mark.parametrize(
    ("benchmark", "files"), [("vggsound-single", "vggss.json"), ("music-duet", "music_duet.json")]
)
def test_corrected_annotations_of_a_benchmark(
    benchmark: str, files: str, real_benchmark: Callable[[str], Path], tmp_path: Path
) -> None:
    made = {"vggsound-single": "vggsound-multi", "music-duet": "music-duet"}[benchmark]
    root = Path(shutil.copytree(real_benchmark(made), tmp_path / "root"))
    (path,) = root.rglob(files)
    before = record(find_data(benchmark, root=root))
    path.write_text(path.read_text().replace("0.", "0.0"))
    after = record(find_data(benchmark, root=root))
    assert after.pop("lists") != before.pop("lists")
    assert after == before


def test_media_that_are_gone_have_no_name_to_compare(
    real_benchmark: Callable[[str], Path], tmp_path: Path
) -> None:
    root = Path(shutil.copytree(real_benchmark("vggsound-multi"), tmp_path / "root"))
    data = find_data("vggsound-single", root=root)
    every = range(len(data.items))
    before = hash_present_files(data, every)
    assert before == hash_files(data, every)
    assert sorted(before) == list(every)
    data.items[1].frames[0].unlink()
    again = find_data("vggsound-single", root=root)
    assert hash_present_files(again, every) == {n: one for n, one in before.items() if n != 1}


def record(data: DataSet) -> dict[str, Any]:
    return known_record(data, evaluation_config())


def test_masks_in_memory_are_told_by_their_pixels() -> None:
    options = {"count": 3, "sources": 2, "truth": "masks"}
    data, again = find_data("synthetic", **options), find_data("synthetic", **options)
    assert record(data) == record(again)
    target = again.items[1].sources[0].target
    assert isinstance(target, Mask)
    target.drawn[0, 0] ^= True
    assert record(data)["lists"] != record(again)["lists"]
    assert hash_files(data, range(3)) == hash_present_files(data, range(3)) == {}


@pytest.fixture
def indexed(tmp_path: Path) -> Path:
    """An index of two classes with an outlined object of each; nobody hears its sounds."""
    root = tmp_path / "indexed"
    lines = ["file,kind,class,split,role,licence,box,mask"]
    for number, label in enumerate(("bell", "cat")):
        picture(root / f"{label}.png", 90 + number, (40, 40))
        outline = np.zeros((40, 40), np.uint8)
        outline[5:35, 8:32] = 255
        Image.fromarray(outline).save(root / f"{label}-mask.png")
        shutil.copy(root / f"{label}.png", root / f"{label}.wav")
        box = "0.2 0.125 0.8 0.875"
        lines += [
            f"{label}.png,photo,{label},test,sounding,CC0,{box},{label}-mask.png",
            f"{label}.wav,sound,{label},test,sounding,CC0,,",
        ]
    (root / "index.csv").write_text("\n".join(lines) + "\n")
    return root


def test_scenes_of_real_files_are_told_by_their_plans_and_outlines(indexed: Path) -> None:
    def found() -> tuple[dict[str, Any], dict[int, str]]:
        data = find_data("real", root=indexed, count=3, sources=2, truth="masks", twins=0.0)
        return record(data), hash_files(data, range(3))

    first, files = found()
    assert sorted(files) == [0, 1, 2]
    assert found() == (first, files)
    outline = np.full((40, 40), 255, np.uint8)
    Image.fromarray(outline).save(indexed / "cat-mask.png")
    assert found()[0] == first
    assert all(found()[1][place] != one for place, one in files.items())
    index = indexed / "index.csv"
    index.write_text(index.read_text().replace("0.875", "0.9"))
    assert found()[0]["lists"] != first["lists"]
    boxed = found()[0]
    index.write_text(index.read_text().replace("CC0", "MIT"))  # decides nothing here
    assert found()[0] == boxed
