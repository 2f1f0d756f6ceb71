"""Benchmarks in a reduced form, so that they do not rot; `make benchmark` runs more of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from tvsl.evaluation.score import HeadScores, PairScores
from tvsl.methods.base import Untrained
from tvsl.tokens import Queries, Tokens, Vocabulary

ROOT = Path(__file__).parents[2]


def run(
    *arguments: str, program: str = sys.executable, **variables: str
) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    return subprocess.run(
        [program, *arguments],
        capture_output=True,
        text=True,
        timeout=900,
        cwd=ROOT,
        check=False,
        env={**os.environ, "PYTHONPATH": paths, **variables},
    )


def test_what_a_cpu_can_run_of_the_gpu_s_script_runs() -> None:
    done = run("benchmarks/gpu.py", "--device", "cpu", "--quick")
    assert done.returncode == 0, done.stderr
    for row in ("float32, TF32 off", "plain eager, float32", "training step", "maps and scores"):
        assert row in done.stdout
    has_golden = (ROOT.parent / "shared" / "golden").is_dir()
    assert ("released heads' maps" in done.stdout) == has_golden
    assert ("Golden numbers are not checked" in done.stdout) != has_golden


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a compiler")
def test_the_gpu_s_script_as_a_whole_runs_on_a_cpu() -> None:
    """Compiled forms too."""
    done = run(
        "benchmarks/gpu.sh", "--device", "cpu", "--quick", program="bash", PYTHON=sys.executable
    )
    assert done.returncode == 0, done.stderr
    assert " passed" in done.stdout
    for row in ("fast, float32, compiled", "fast, bfloat16, compiled"):
        assert row in done.stdout
    for work in ("training step", "maps and scores"):
        (line,) = (one for one in done.stdout.splitlines() if work in one and "compiled" in one)
        assert float(line.split("│")[-2]) > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "rows"),
    [
        (("export.py", "mini", "--rounds", "1"), ("image", "sound", "head")),
        (("int8.py", "--rounds", "1", "--scenes", "4"), ("x86", "int8, duets", "maps differ by")),
        (
            ("localize.py", "--commands", "--models", "mini,everyday", "--rounds", "1"),
            ("mini, 10 s", "everyday, 5 s", "1 of 10 encoded"),
        ),
    ],
)
def test_a_benchmark_prints_its_table(arguments: tuple[str, ...], rows: tuple[str, ...]) -> None:
    done = run(f"benchmarks/{arguments[0]}", *arguments[1:])
    assert done.returncode == 0, done.stderr
    for row in rows:
        assert row in done.stdout


def test_without_a_gpu_its_script_says_so() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    done = run("benchmarks/gpu.py")
    assert done.returncode == 1
    assert "--device cpu --quick" in done.stderr


@pytest.mark.slow
def test_t_vsl_is_trained_on_an_encoder_that_eq_1_has_continued(tmp_path: Path) -> None:
    data = ROOT.parent / "shared" / "real"
    if not data.is_dir():
        pytest.skip(f"{data} is not here")
    done = run("benchmarks/continued.py", "--quick", "--data", str(data), "--output", str(tmp_path))
    assert done.returncode == 0, done.stderr
    for row in ("published", "Eq. 1 on half of the classes", "continued on half"):
        assert row in done.stdout


@pytest.mark.parametrize(
    ("benchmark", "figures", "otherwise"),
    [
        ("real", ("287 │ 1,166", "119 │ 1,166", "50 │ 981", "0 │ 981"), 8),
        ("mini", ("134 │ 1,228", "69 │ 1,228", "14 │ 1,001", "0 │ 1,001"), 0),
    ],
)
def test_second_runs_agree_as_the_documents_say(
    benchmark: str, figures: tuple[str, ...], otherwise: int
) -> None:
    pages = f"docs/reproduction/{benchmark}"
    done = run("benchmarks/second_run.py", f"{pages}/tables", f"{pages}/second-run")
    assert done.returncode == 0, done.stderr
    printed = re.sub(" +", " ", done.stdout)
    assert all(figure in printed for figure in figures), printed
    assert printed.count(" -> ") == otherwise


@pytest.mark.slow
def test_t_vsl_is_trained_for_longer(tmp_path: Path) -> None:
    times, clips = ("--times", "1", "3"), ("--clips", "2")
    done = run("benchmarks/convergence.py", "--quick", "--output", str(tmp_path), *times, *clips)
    assert done.returncode == 0, done.stderr
    for mixtures in ("16", "48"):  # two steps of eight, and six; of twice 48 clips
        assert re.search(rf"│ {mixtures} +│ 96 +│", done.stdout)
    for row in ("T-VSL, untrained", "T-VSL, every equation as printed", "the same, readout"):
        assert row in done.stdout


@pytest.mark.processes
@pytest.mark.slow
def test_two_processes_are_measured_beside_one() -> None:
    done = run("benchmarks/processes.py", "--quick")
    assert done.returncode == 0, done.stderr
    figures = r".*( \| \d+\.\d\d s){2} \| \d+\.\d\d \|$"
    for row in ("training step of T-VSL", "encoding", "preparing", "evaluating", "localizing"):
        assert re.search(rf"^\| {row}{figures}", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.slow
def test_growth_is_judged() -> None:
    """Every kind of work is long enough to be judged."""
    done = run("benchmarks/growth.py", "--quick")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "duets evaluated" in done.stdout
    assert "(" not in done.stdout.partition("in brackets")[0]


@pytest.mark.parametrize(("before", "after", "fails"), [(1.0, 10.0, False), (1.0, 30.0, True)])
def test_work_that_grows_faster_than_its_size_fails(
    before: float, after: float, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks import growth

    found = {100: before, 1_000: after}
    monkeypatch.setitem(growth.FULL, "items", (100, 1_000))
    monkeypatch.setattr(
        growth, "apart", lambda kind, size: {"seconds": found[size], "megabytes": 100.0}
    )
    monkeypatch.setattr(sys, "argv", ["growth", "--only", "items"])
    if fails:
        with pytest.raises(SystemExit, match="items"):
            growth.main()
    else:
        growth.main()


@pytest.mark.parametrize(("fast", "fails"), [(0.5, False), (0.95, True)])
def test_an_encoder_without_its_fast_path_fails(
    fast: float, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks import encoders

    tokens = torch.ones(1, 4)
    works = [
        encoders.Work(name, dict.fromkeys((encoders.PLAIN, encoders.FAST), lambda: tokens))
        for name in (encoders.SOUND, encoders.PICTURE)
    ]
    busy = (1.0, 3.0, 1.5)  # a neighbour slows single rounds down
    times = {encoders.PLAIN: [*busy], encoders.FAST: [fast * one for one in busy]}
    rates = {torch.float32: 1e9, torch.bfloat16: 1e8}
    monkeypatch.setattr(encoders, "AudioCLIP", lambda: torch.nn.Identity())
    monkeypatch.setattr(torch.nn.Identity, "freeze", lambda self: self, raising=False)
    monkeypatch.setattr(encoders, "works", lambda *_: works)
    monkeypatch.setattr(encoders, "matrix_rates", lambda _: rates)
    monkeypatch.setattr(encoders, "measure", lambda *_: times)
    monkeypatch.setattr(sys, "argv", ["encoders"])
    if fails:
        with pytest.raises(SystemExit, match=r"1\.05 times plain, 1\.4 is the floor"):
            encoders.main()
    else:
        encoders.main()


class TwoDetectors(Untrained):
    """Of classes 0 to 3, ``good`` finds 0 and 1 of either clip, ``poor`` 3 and 1."""

    supervision = "none"
    class_aware = True
    name = "two-detectors"

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        raise NotImplementedError

    def detectors(self) -> list[dict[str, Any]]:
        return [{"detector": "good"}, {"detector": "poor"}]

    def set_tuned(self, **hyperparameters: Any) -> None:
        self.detector = hyperparameters["detector"]

    def detect(self, tokens: Tokens, vocabulary: Vocabulary) -> Tensor:
        row = [0.9, 0.8, 0.1, 0.0] if self.detector == "good" else [0.1, 0.8, 0.0, 0.9]
        return torch.tensor([row, row])


def test_what_a_detector_loses_is_told_from_what_maps_lose(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two duets of classes 0 and 1; of the first both maps hit, of the second neither."""
    from benchmarks import detectors

    columns = {
        "ciou": torch.tensor([0.5, 0.3, 0.1, 0.2]),
        "frames": torch.tensor([0, 0, 1, 1]),
        "labels": torch.tensor([0, 1, 0, 1]),
    }
    scores = HeadScores({"given": PairScores(columns)}, None)
    monkeypatch.setattr(detectors, "score_batches", lambda *_, **__: scores)
    scenes = SimpleNamespace(
        labels=torch.tensor([[True, True, False, False]] * 2), tokens=None, vocabulary=None
    )
    found = detectors.figures(TwoDetectors(), [scenes])  # type: ignore[list-item]
    at = {name: dict(zip(detectors.COLUMNS, row, strict=True)) for name, row in found.items()}
    assert [at["good"][one] for one in detectors.COLUMNS[:5]] == [50, 50, 100, 100, 100]
    assert [at["poor"][one] for one in detectors.COLUMNS[:5]] == [50, 25, 50, 0, 100]
    assert at["poor"]["hit, found"] == at["poor"]["hit, missed"] == 50


@pytest.mark.parametrize(
    ("model", "ours", "drawing", "command", "told"),
    [
        ("audioclip", 0.7, 0.3, None, None),
        ("audioclip", 0.7, 0.35, None, "drawing costs 70% of overlay.mp4"),
        ("audioclip", 1.0, 0.1, None, "1.20 times plain, 1.3 is the floor"),
        ("everyday", 1.0, 0.2, 15.0, None),
        ("everyday", 1.15, 0.2, 15.0, "1.04 times plain, 1.1 is the floor"),
        ("everyday", 1.0, 0.2, 30.0, "the command costs 6.2 times plain"),
    ],
)
def test_localizing_below_its_musts_fails(
    model: str,
    ours: float,
    drawing: float,
    command: float | None,
    told: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from benchmarks import localize

    def measure(*_: object) -> tuple[localize.Spent, float, int]:
        spent, busy = localize.Spent(), (1.0, 3.0, 1.5)  # a neighbour slows single rounds down
        stages = {"plain": 1.2, "ours": ours, "drawing": drawing, "localizing": 1.0}
        stages |= {"overlay.mp4": 1.0, "page's video": 1.0}
        for stage, seconds in stages.items():
            spent.rounds[stage] = [factor * seconds for factor in busy]
        if command is not None:
            spent.rounds["command"] = [command]
        return spent, 0.0, 2

    monkeypatch.setattr(localize, "measure", measure)
    monkeypatch.setattr(localize, "write_clip", lambda path, _: path)
    monkeypatch.setattr(localize, "keep_freed_memory", lambda: True)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr(sys, "argv", ["localize", "--quick", "--models", model])
    if told is None:
        localize.main()
        return
    with pytest.raises(SystemExit) as failed:
        localize.main()
    assert told in str(failed.value)
