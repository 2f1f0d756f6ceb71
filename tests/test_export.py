"""Exported graphs beside the model that they came from, on inputs of other sizes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.small_model import CLASSES, random_head, world_model
from tests.test_add_pages import blocks
from tests.training.colour_encoder import ColourEncoder
from tvsl import Localizer, export
from tvsl.audioclip.config import AudioCLIPConfig
from tvsl.audioclip.encoder import AudioCLIPEncoder
from tvsl.audioclip.model import AudioCLIP
from tvsl.encoder import Encoder
from tvsl.errors import OutputError, UsageError
from tvsl.export import ExportFormat, export_model
from tvsl.localization import Request
from tvsl.methods.base import Method
from tvsl.methods.text_only import TextOnly
from tvsl.methods.tvsl.detection import largest_eigenvalue
from tvsl.tokens import Queries, Tokens

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra [export] is not installed")
pytest.importorskip("onnxscript", reason="the extra [export] is not installed")


def small(head: Method | None = None) -> Localizer:
    encoder = AudioCLIPEncoder(world_model())
    # Not spread: made-up tokens are all alike, and rounding is all that a spread map would show.
    decided = {"responsibility": 10.0, "detector": "decomposition"}
    return Localizer(encoder, head or random_head(**decided), "small")


def runner(record: Path, name: str) -> Any:
    content = json.loads(record.read_text(encoding="utf-8"))
    graph = next(one for one in content["graphs"] if one["name"] == name)
    names = [value["name"] for value in graph["inputs"]]
    return export.RUNNERS[content["kind"]](record.parent / graph["file"], names)


def expected_maps(method: Method, tokens: Tokens, asked: list[list[int]], classes: Any) -> Tensor:
    """Maps by the method's own queries, each in [0, 1] by NumPy."""
    maps = method.postprocess(
        method.spread_maps(tokens, Queries.from_lists(asked), classes)
    ).numpy()
    low, high = (edge(maps, axis=(1, 2), keepdims=True) for edge in (np.min, np.max))
    return torch.from_numpy((maps - low) / (high - low)).unflatten(0, (len(asked), -1))


def made_tokens(clips: int) -> Tokens:
    """Tokens of no picture or sound, on a grid of 5 x 6."""
    random = torch.Generator().manual_seed(clips)
    width = world_model().config.embedding
    visual, audio = (torch.randn(clips, count, width, generator=random) for count in (30, 8))
    return Tokens(visual, audio, visual.mean(dim=1), audio.mean(dim=1), (5, 6))


@torch.no_grad()
def check(
    localizer: Localizer,
    record: Path,
    batch: int,
    rows: int,
    columns: int,
    chained: float = export.TOLERANCE,
) -> None:
    """Compare the graphs with the model on inputs of one size, each and all behind each other."""
    encoder: Encoder = localizer.encoder
    content = json.loads(record.read_text(encoding="utf-8"))
    cell = content["preprocessing"]["frames"]["cell"]
    rate = content["preprocessing"]["waveforms"]["sample_rate"]
    random = torch.Generator().manual_seed(batch)
    frames = torch.rand(batch, 3, rows * cell, columns * cell, generator=random) * 2 - 1
    waves = torch.rand(batch, round((1.3 + batch / 3) * rate), generator=random) - 0.5
    tokens = encoder.encode(frames, waves)
    seen, heard = runner(record, "image")(frames), runner(record, "sound")(waves)
    expected = (tokens.visual.unflatten(1, tokens.grid), tokens.image, tokens.audio, tokens.sound)
    for found, own in zip((*seen, *heard), expected, strict=True):
        largest_value = max(1.0, float(own.abs().max()))
        torch.testing.assert_close(found, own, rtol=0, atol=export.TOLERANCE * largest_value)
    vocabulary = encoder.vocabulary(content["classes"]["names"])
    embeddings = torch.from_numpy(np.load(record.parent / content["classes"]["file"]))
    assert torch.equal(embeddings, vocabulary.embeddings)
    largest = torch.tensor(content["classes"]["largest_eigenvalue"])
    asked = [[(clip + n) % len(vocabulary) for n in range(2)] for clip in range(batch)]
    head = runner(record, "head")
    own_maps = expected_maps(localizer.method, tokens, asked, vocabulary)
    own_scores = localizer.method.detect(tokens, vocabulary)
    # The head alone, and behind the other graphs.
    for given, most in ((expected, export.TOLERANCE), ((*seen, *heard), chained)):
        maps, *scores = head(*given, embeddings, largest, torch.tensor(asked))
        torch.testing.assert_close(maps, own_maps, rtol=0, atol=most)
        assert len(scores) == (own_scores is not None)
        if own_scores is not None:
            torch.testing.assert_close(scores[0], own_scores, rtol=0, atol=most)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Localizer, Path]:
    localizer = small()
    folder = tmp_path_factory.mktemp("export") / "graphs"
    return localizer, export_model(localizer, folder, ["red star", "blue ring"])


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1, 7, 7), (3, 5, 9)])
def test_graphs_serve_other_sizes(
    size: tuple[int, int, int], exported: tuple[Localizer, Path]
) -> None:
    check(*exported, *size)


@pytest.mark.slow
def test_the_record_says_what_there_is(exported: tuple[Localizer, Path]) -> None:
    localizer, record = exported
    content = json.loads(record.read_text(encoding="utf-8"))
    assert content["encoder_sha256"] == localizer.encoder.fingerprint
    assert content["classes"]["names"] == list(CLASSES)  # among which the head shares a sound out
    assert content["classes"]["asked"] == [0, 3]
    names = {path.name for path in record.parent.iterdir()}
    assert names == {*content["files"], record.name}
    for graph in content["graphs"]:
        session = onnxruntime.InferenceSession(record.parent / graph["file"])
        for found, stated in (
            (session.get_inputs(), graph["inputs"]),
            (session.get_outputs(), graph["outputs"]),
        ):
            assert {one.name: one.shape for one in found} == {
                one["name"]: one["shape"] for one in stated
            }
        assert 0 <= graph["largest_difference"] <= 1e-4


@pytest.mark.parametrize("export_format", ["torch", "onnx"])
def test_a_head_serves_other_numbers(export_format: ExportFormat, tmp_path: Path) -> None:
    localizer = small()
    vocabulary = localizer.encoder.vocabulary(CLASSES)
    parts = AudioCLIPEncoder(world_model()).graphs()
    *_, head = export._graphs(localizer.encoder, parts, localizer.method, vocabulary)
    path = tmp_path / {"torch": "head.pt2", "onnx": "head.onnx"}[export_format]
    export._WRITERS[export_format](head, path)
    assert export._difference(head, path, export_format) <= 1e-4
    run = export.RUNNERS[export_format](path, list(head.inputs))
    tokens = made_tokens(clips=3)
    asked = [[0, 2, 1], [3, 1, 0], [1, 2, 3]]
    given = (tokens.visual.unflatten(1, tokens.grid), tokens.image, tokens.audio, tokens.sound)
    stated = torch.tensor(largest_eigenvalue(vocabulary.embeddings))
    with torch.no_grad():
        maps, *_ = run(*given, vocabulary.embeddings, stated, torch.tensor(asked))
        own = expected_maps(localizer.method, tokens, asked, vocabulary)
    torch.testing.assert_close(maps, own, rtol=0, atol=1e-4)


def tiny_graph(factor: float) -> export._Graph:
    """A graph whose module gives other values when it is traced."""

    class Scaled(nn.Module):
        def forward(self, values: Tensor) -> tuple[Tensor]:
            return (values * (factor if torch.compiler.is_compiling() else 1.0),)

    batch = torch.export.Dim("batch", min=1, max=9)
    inputs = ((torch.rand(2, 3),), (torch.rand(4, 3),))
    axes: dict[str, tuple[int | str, ...]] = {"values": ("batch", 3)}
    return export._Graph(
        "image", Scaled(), axes, {"scaled": ("batch", 3)}, {"batch": batch}, inputs[0], inputs[1:]
    )


def test_nothing_is_left_of_a_graph_that_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_graphs", lambda *_: iter([tiny_graph(1.001)]))
    with pytest.raises(UsageError, match="differs from the model"):
        export_model(small(), tmp_path / "out", export_format="torch")
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_export_is_replaced_by_force_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_graphs", lambda *_: iter([tiny_graph(1.0)]))
    localizer = small()
    export_model(localizer, tmp_path, export_format="torch")
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(OutputError):
        export_model(localizer, tmp_path, export_format="torch")
    export_model(localizer, tmp_path, export_format="torch", force=True)
    assert (tmp_path / "mine.txt").read_text() == "kept"
    (tmp_path / "export.json").write_text('{"of": "another program"}')
    with pytest.raises(OutputError, match="no record"):
        export_model(localizer, tmp_path, export_format="torch", force=True)


@pytest.mark.parametrize("labels", [None, [], ["blue ring", "red disc"], ["dotted cross"]])
def test_the_classes_are_those_that_a_localizer_answers_among(
    labels: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    localizer = Localizer.from_pretrained("mini", device="cpu")
    vocabulary, rows = export._vocabulary(localizer, labels)
    assert vocabulary.names == localizer.class_names(Request(labels or None))
    assert [vocabulary.names[row] for row in rows] == list(labels or vocabulary.names)
    chosen = ("red disc", "blue ring")
    monkeypatch.setattr(Localizer, "class_names", lambda *_: chosen)
    assert export._vocabulary(localizer, None)[0].names == chosen


def test_what_cannot_be_exported_is_refused(tmp_path: Path) -> None:
    localizer = small()
    localizer.encoder = ColourEncoder()
    with pytest.raises(UsageError, match="graphs"):
        export_model(localizer, tmp_path / "out")
    half = Localizer(AudioCLIPEncoder(world_model(), "bfloat16"), random_head(), "half")
    with pytest.raises(UsageError, match="float32"):
        export_model(half, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_even_queries_lie_where_all_others_do() -> None:
    asked = torch.tensor([[2, 0, 1], [1, 1, 2]])
    even, plain = export._EvenQueries.of(asked), Queries.from_lists(asked.tolist())
    assert torch.equal(even.clip, plain.clip)
    assert torch.equal(even.label, plain.label)
    for one, other in zip(even.slots(2), plain.slots(2), strict=True):
        assert torch.equal(torch.as_tensor(one), torch.as_tensor(other))
    (one,), (other,) = even.chunks(99), plain.chunks(99)
    assert torch.equal(one.positions, other.positions)
    assert torch.equal(one.clips, other.clips)


@pytest.mark.slow
@pytest.mark.parametrize("export_format", ["onnx", "torch"])
def test_the_mini_with_its_head(export_format: ExportFormat, tmp_path: Path) -> None:
    localizer = Localizer.from_pretrained("mini", device="cpu")
    record = export_model(localizer, tmp_path / "out", None, export_format)
    check(localizer, record, 2, 15, 19)


@pytest.mark.slow
@pytest.mark.parametrize("export_format", ["onnx", "torch"])
def test_the_everyday_model_with_its_head(export_format: ExportFormat, tmp_path: Path) -> None:
    localizer = Localizer.from_pretrained("everyday", device="cpu")
    record = export_model(localizer, tmp_path / "out", ["dog barking", "train"], export_format)
    for size in ((1, 14, 14), (2, 14, 25), (1, 33, 14)):
        check(localizer, record, *size, chained=1e-3)


@pytest.mark.slow
def test_audioclip_at_full_size_with_text_only(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = AudioCLIP(AudioCLIPConfig())
    model.tokenizer = world_model().tokenizer
    localizer = Localizer(AudioCLIPEncoder(model), TextOnly(), "full")
    record = export_model(localizer, tmp_path / "out", ["red star", "blue ring"])
    check(localizer, record, 1, 8, 11)


@pytest.mark.slow
def test_the_page_runs_without_tvsl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    labels = ["red star", "striped ring"]
    export_model(Localizer.from_pretrained("mini", device="cpu"), Path("graphs"), labels)
    (example,) = blocks("export.md", "python")
    assert "tvsl" not in example
    used: dict[str, Any] = {}
    exec(compile(example, "export.md", "exec"), used)
    assert used["maps"].shape == (1, 2, 14, 14)
    assert (used["maps"].min(), used["maps"].max()) == (0, 1)
