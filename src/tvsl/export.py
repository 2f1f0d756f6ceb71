"""Encoders and heads as ONNX or torch graphs that run without tvsl.

A model becomes three graphs. ``image`` takes frames, ``sound`` takes waveforms; both give tokens
and pooled embeddings. ``head`` takes these with the embeddings of class names, and gives a map for
each class that is asked about. Batch, picture size, duration, number of classes and of questions
are those of the input. Text is embedded here, once: the tokenizer stays.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx.experimental import _config as shapes

from tvsl import __version__
from tvsl.encoder import Encoder, EncoderGraphs, ExportableEncoder
from tvsl.errors import TvslError, UsageError, shown
from tvsl.localization import Request
from tvsl.localizer import Localizer
from tvsl.methods.base import Method
from tvsl.methods.tvsl.detection import largest_eigenvalue, stated_eigenvalue
from tvsl.tokens import Chunk, Queries, Slots, Tokens, Vocabulary
from tvsl.utils.atomic import staged, writable
from tvsl.utils.files import to_json
from tvsl.utils.lazy import optional
from tvsl.utils.model_folder import fingerprint
from tvsl.utils.processes import Stages, no_stages
from tvsl.utils.run_folder import (
    CLASSES_FILE,
    EXPORT_RECORD,
    GRAPH_ENDINGS,
    export_files,
    exported_files,
)

ExportFormat = Literal["onnx", "torch"]

TOLERANCE: Final = 1e-4
"""Largest difference of a graph's output, as a share of the largest value where that is over 1."""
_EXTRA = "export"
_MODULES: Final = ("onnx", "onnxscript", "onnxruntime")
_OLDEST_TORCH: Final = (2, 13)
_FORMAT: Final = 1
_GRAPHS: Final = 3  # image, sound and head
_FLAT: Final = 1e-6
"""Range of a map, as a share of its largest value, under which it is constant but for rounding."""
_MOST_CELLS, _LONGEST = 1024, 600
"""Cells along a side, and seconds, up to which graphs are traced."""


@dataclass(frozen=True, eq=False)
class _EvenQueries(Queries):
    """As many queries for each clip: their places follow from their numbers, as a graph needs it.

    Attributes:
        clips: B.
        each: Queries for each clip.
    """

    clips: int
    each: int

    @classmethod
    def of(cls, asked: Tensor) -> _EvenQueries:
        """The queries of a table of class rows, (B, K) int64."""
        clips, each = asked.shape
        clip = torch.arange(clips, device=asked.device)[:, None].expand(clips, each)
        return cls(clip.reshape(-1), asked.reshape(-1), clips, each)

    def check(self, batch: int, classes: int) -> None:
        """Check nothing: values are known when the graph runs."""

    def chunks(self, size: int) -> Iterator[Chunk]:  # noqa: ARG002
        """All queries at once."""
        every = torch.arange(self.clips * self.each, device=self.clip.device)
        yield Chunk(every, torch.arange(self.clips, device=self.clip.device), self)

    def slots(self, batch: int) -> Slots:  # noqa: ARG002
        """Places in an array (B, K)."""
        slot = torch.arange(self.each, device=self.clip.device).expand(self.clips, self.each)
        return Slots(self.clip, slot.reshape(-1), self.each)


class _GivenVocabulary(Vocabulary):
    """Class embeddings that are an input of a graph, which knows no names."""

    def __post_init__(self) -> None:
        """Check nothing: values are known when the graph runs."""


class _FramesGraph(nn.Module):
    """``Encoder.encode_frames``, its tokens on their grid, for the exporter."""

    def __init__(self, encoder: Encoder, parts: EncoderGraphs) -> None:
        super().__init__()
        self.networks = nn.ModuleList(parts.image)  # the exporter looks for their weights here
        self._encoder = encoder

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Frames (B, 3, H, W) to tokens (B, h, w, D) and embeddings (B, D)."""
        found = self._encoder.encode_frames(frames)
        return found.tokens.unflatten(1, found.grid), found.embeddings


class _SoundsGraph(nn.Module):
    """``Encoder.encode_sounds`` for the exporter."""

    def __init__(self, encoder: Encoder, parts: EncoderGraphs) -> None:
        super().__init__()
        self.networks = nn.ModuleList(parts.sound)
        self._encoder = encoder

    def forward(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """Waveforms (B, S) to tokens (B, n, D) and embeddings (B, D)."""
        found = self._encoder.encode_sounds(waveforms)
        return found.tokens, found.embeddings


class HeadGraph(nn.Module):
    """A head for the exporter: heat-maps of the classes that are asked about, and all scores.

    Args:
        method: The head.
    """

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method

    def forward(
        self,
        tokens: Tensor,
        image: Tensor,
        sound_tokens: Tensor,
        sound: Tensor,
        classes: Tensor,
        largest_eigenvalue: Tensor,
        asked: Tensor,
    ) -> tuple[Tensor, ...]:
        """Localize.

        Args:
            tokens: Patch tokens, (B, h, w, D).
            image: Pooled image embeddings, (B, D).
            sound_tokens: Audio tokens, (B, n, D).
            sound: Pooled audio embeddings, (B, D).
            classes: Unit text embeddings, (N, D).
            largest_eigenvalue: That of their cosines, scalar.
            asked: Rows of ``classes``, (B, K) int64.

        Returns:
            Maps in [0, 1], (B, K, h, w), and scores, (B, N), of a method that detects.
        """
        clips, rows, columns = tokens.shape[:3]
        batch = Tokens(tokens.flatten(1, 2), sound_tokens, image, sound, (rows, columns))
        vocabulary, queries = _GivenVocabulary((), classes), _EvenQueries.of(asked)
        with stated_eigenvalue(largest_eigenvalue):
            maps = self.method.postprocess(self.method.spread_maps(batch, queries, vocabulary))
            scores = self.method.detect(batch, vocabulary)
        heat = _in_range(maps).view(clips, asked.shape[1], rows, columns)
        return (heat,) if scores is None else (heat, scores)


def _in_range(maps: Tensor) -> Tensor:
    """Maps (P, h, w) in [0, 1], each by itself; one without contrast becomes zero."""
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    flat = high - low <= _FLAT * torch.maximum(low.abs(), high.abs())
    return torch.where(flat, 0.0, (maps - low) / torch.where(flat, 1.0, high - low))


@dataclass(frozen=True, eq=False)
class _Graph:
    """A module with what the exporter has to know of it.

    Attributes:
        name: Name of its file.
        module: The module, which is called with Tensors in the order of ``inputs``.
        inputs: Axes of each input by its name: a number, or the name of a dynamic axis.
        outputs: The same of the outputs.
        dims: Dynamic axes by their names, in torch's terms.
        traced: Inputs to trace with.
        others: Inputs of other sizes, on which the graph is checked.
        asserts: Whether what torch cannot prove of every size is asserted when the graph runs.
        small_maps: Whether a feature map can have a side of 1, which torch else takes as special.
    """

    name: str
    module: nn.Module
    inputs: dict[str, tuple[int | str, ...]]
    outputs: dict[str, tuple[int | str, ...]]
    dims: dict[str, Any]
    traced: tuple[Tensor, ...]
    others: tuple[tuple[Tensor, ...], ...]
    asserts: bool = False
    small_maps: bool = False

    @property
    def dynamic(self) -> dict[str, dict[int, Any]]:
        """Dynamic axes of each input, for torch."""
        return {
            name: {n: self.dims[axis] for n, axis in enumerate(axes) if isinstance(axis, str)}
            for name, axes in self.inputs.items()
        }


def check_export(export_format: ExportFormat) -> None:
    """Refuse an export for which a package is missing or too old.

    Args:
        export_format: The form of the graphs.

    Raises:
        UsageError: torch is too old, or a package of the extra ``export`` is not installed.
    """
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if version < _OLDEST_TORCH:
        oldest = ".".join(map(str, _OLDEST_TORCH))
        raise UsageError(
            f"Export needs torch {oldest} or newer, this is {torch.__version__}.",
            f"Install it: pip install 'torch>={oldest}'.",
        )
    if export_format == "onnx":
        for module in _MODULES:
            optional(module, _EXTRA)


def export_model(
    localizer: Localizer,
    folder: str | Path,
    labels: Sequence[str] | None = None,
    export_format: ExportFormat = "onnx",
    force: bool = False,
    stages: Stages = no_stages,
) -> Path:
    """Write an encoder and its head as graphs, each checked against the model it came from.

    Args:
        localizer: The model, on the CPU and in float32.
        folder: The folder; it is written whole or not at all.
        labels: Class names to embed; the encoder's own, or everyday sounds, when None.
        export_format: ``onnx``, or ``torch`` for ``torch.export``'s files.
        force: Whether an earlier export may be replaced.
        stages: Shows progress, as `tvsl.cli.output.progress` does.

    Returns:
        Path of ``export.json``, which describes the graphs.

    Raises:
        UsageError: A package is missing, the encoder or the head cannot be exported, or a graph's
            outputs are not those of the model.
        VocabularyError: The model cannot express a class.
        OutputError: The folder is not empty and ``force`` is not set, or cannot be written.
    """
    check_export(export_format)
    folder = Path(folder).expanduser()
    encoder = localizer.encoder
    if not isinstance(encoder, ExportableEncoder):
        raise UsageError(
            f"The encoder {shown(localizer.name)} cannot be exported.",
            "Give it a method `graphs` (tvsl.encoder.ExportableEncoder).",
        )
    if encoder.device.type != "cpu":
        raise UsageError("A model is exported on the CPU.", "Load it with device='cpu'.")
    parts = encoder.graphs()
    vocabulary, asked = _vocabulary(localizer, labels)
    new = export_files(export_format)
    with staged(folder, EXPORT_RECORD, force, exported_files, new) as work, writable(folder):
        graphs: list[dict[str, Any]] = []
        with stages("Tracing and checking", counted="graphs") as report:
            report(0, _GRAPHS)
            for graph in _graphs(encoder, parts, localizer.method, vocabulary):
                path = work / f"{graph.name}.{GRAPH_ENDINGS[export_format]}"
                _WRITERS[export_format](graph, path)
                difference = _difference(graph, path, export_format)
                graphs.append(_described(graph, path.name, difference))
                report(len(graphs), _GRAPHS)
        embeddings = vocabulary.embeddings.detach().float().numpy()
        np.save(work / CLASSES_FILE, embeddings, allow_pickle=False)
        record = {
            "tvsl": __version__,
            "format": _FORMAT,
            "kind": export_format,
            "model": localizer.name,
            **_origin(encoder, localizer.method),
            "versions": _versions(export_format),
            "preprocessing": _preprocessing(localizer, parts),
            "graphs": graphs,
            "classes": {
                "file": CLASSES_FILE,
                "names": list(vocabulary.names),
                "asked": asked,
                "largest_eigenvalue": largest_eigenvalue(vocabulary.embeddings),
            },
            "files": [*(graph["file"] for graph in graphs), CLASSES_FILE],
        }
        (work / EXPORT_RECORD).write_text(to_json(record), encoding="utf-8")
    return folder / EXPORT_RECORD


def _vocabulary(localizer: Localizer, labels: Sequence[str] | None) -> tuple[Vocabulary, list[int]]:
    """The classes that a head compares, and the labels' rows."""
    names = localizer.class_names(Request(labels or None))
    vocabulary = localizer.encoder.vocabulary(names)
    return vocabulary, vocabulary.indices(labels or names)


def _graphs(
    encoder: Encoder, parts: EncoderGraphs, method: Method, vocabulary: Vocabulary
) -> Iterator[_Graph]:
    """The three graphs of a model, the head's on what the encoder's give."""
    random = torch.Generator().manual_seed(0)
    rate, cell, size = encoder.sample_rate, parts.cell, vocabulary.embeddings.shape[1]

    def frames(batch: int, rows: int, columns: int) -> tuple[Tensor]:
        drawn = torch.randn(batch, 3, rows * cell, columns * cell, generator=random)
        return ((drawn / 2).clamp(-1, 1),)

    def waves(batch: int, seconds: float) -> tuple[Tensor]:
        samples = max(round(seconds * rate), parts.least_samples)
        return (torch.rand(batch, samples, generator=random) - 0.5,)

    dim, side = torch.export.Dim, parts.shorter_side // cell
    traced = 2 * side if parts.small_maps else side  # of which no map has a side of 1
    batch = dim("batch", min=1, max=4096)
    rows, columns = (dim(name, min=1, max=_MOST_CELLS) for name in ("rows", "columns"))
    image = _Graph(
        "image",
        _FramesGraph(encoder, parts).eval(),
        {"frames": ("batch", 3, "height", "width")},
        {"tokens": ("batch", "rows", "columns", size), "embedding": ("batch", size)},
        {"batch": batch, "height": cell * rows, "width": cell * columns},
        frames(2, traced + 1, traced + 3),
        (frames(1, side, side), frames(3, side + 4, side)),
        small_maps=parts.small_maps,
    )
    yield image
    sound = _Graph(
        "sound",
        _SoundsGraph(encoder, parts).eval(),
        {"waveforms": ("batch", "samples")},
        {"tokens": ("batch", "moments", size), "embedding": ("batch", size)},
        {"batch": batch, "samples": dim("samples", min=parts.least_samples, max=_LONGEST * rate)},
        waves(2, 2.0),
        (waves(1, 1.0), waves(3, 4.3)),
        asserts=True,
    )
    yield sound
    yield _head_graph(method, vocabulary, image, sound)


def _head_graph(method: Method, vocabulary: Vocabulary, image: _Graph, sound: _Graph) -> _Graph:
    """The graph of a head, to be traced and checked on what the encoder makes of noise, varied."""
    size = vocabulary.embeddings.shape[1]
    plain = vocabulary.embeddings.detach().float()
    random = torch.Generator().manual_seed(1)

    def varied(tokens: Tensor) -> Tensor:
        # Cells of noise are alike, and of a map without contrast only its rounding is seen.
        drawn = torch.randn(tokens.shape, generator=random) / math.sqrt(size)
        lengths: Tensor = tokens.norm(dim=-1, keepdim=True)
        return tokens + lengths * drawn

    def inputs(number: int, each: int) -> tuple[Tensor, ...]:
        seen, heard = ((graph.traced, *graph.others)[number] for graph in (image, sound))
        tokens, pooled = image.module(*seen)
        sounds, whole = sound.module(*heard)
        # Two names more than there are, so that a graph for one class is traced for many.
        classes = plain if number else torch.cat([plain, plain.flip(-1)[:1], -plain[:1]])
        asked = torch.arange(len(tokens) * each).view(len(tokens), each) % len(classes)
        largest = torch.tensor(largest_eigenvalue(classes))
        encoded = (varied(tokens), pooled, varied(sounds), whole, classes)
        return *(value.contiguous() for value in encoded), largest, asked

    dim = torch.export.Dim
    axes = {"batch": 4096, "rows": _MOST_CELLS, "columns": _MOST_CELLS}
    axes |= {"moments": 1 << 20, "classes": 30_000, "sources": 30_000}
    maps: dict[str, tuple[int | str, ...]] = {"maps": ("batch", "sources", "rows", "columns")}
    return _Graph(
        "head",
        HeadGraph(method).eval(),
        {
            "tokens": ("batch", "rows", "columns", size),
            "image": ("batch", size),
            "sound_tokens": ("batch", "moments", size),
            "sound": ("batch", size),
            "classes": ("classes", size),
            "largest_eigenvalue": (),
            "asked": ("batch", "sources"),
        },
        maps | ({"scores": ("batch", "classes")} if method.can_detect() else {}),
        {name: dim(name, min=1, max=most) for name, most in axes.items()},
        inputs(0, 3),
        (inputs(1, 1), inputs(2, 2)),
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's own remarks from the user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _traced(graph: _Graph) -> torch.export.ExportedProgram:
    """Trace a module.

    Raises:
        UsageError: It does what no graph can do for inputs of every size.
    """
    try:
        sizes = cast(Any, shapes).patch(backed_size_oblivious=graph.small_maps)
        with torch.no_grad(), _quiet(), sizes:
            graph.module(*graph.traced)  # fills what is computed once: tables, packed names
            return torch.export.export(
                graph.module,
                graph.traced,
                dynamic_shapes=tuple(graph.dynamic.values()),
                strict=False,
                prefer_deferred_runtime_asserts_over_guards=graph.asserts,
            )
    except TvslError:
        raise
    except Exception as error:  # torch's exporter raises many types, some of them private
        raise _untraceable(graph, error) from error


def _untraceable(graph: _Graph, error: Exception) -> UsageError:
    """The error for what torch's exporter refuses."""
    said = shown(str(error).strip().partition("\n")[0])
    return UsageError(
        f"The part '{graph.name}' cannot be exported ({type(error).__name__}: {said}).",
        "It decides by values or sizes, as no graph can: export another head or encoder.",
    )


def _write_torch(graph: _Graph, path: Path) -> None:
    program = _traced(graph)
    with _quiet():
        torch.export.save(program, path)


def _write_onnx(graph: _Graph, path: Path) -> None:
    program = _traced(graph)
    try:
        with _quiet():
            made = torch.onnx.export(
                program,
                dynamo=True,
                verbose=False,
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
            )
    except Exception as error:  # as above
        raise _untraceable(graph, error) from error
    assert made is not None
    values = [*made.model.graph.inputs, *made.model.graph.outputs]
    shapes = [*graph.inputs.values(), *graph.outputs.values()]
    for value, axes in zip(values, shapes, strict=True):
        assert value.shape is not None
        for number, axis in enumerate(axes):
            value.shape[number] = axis
    made.save(path)


_WRITERS: Final[dict[ExportFormat, Callable[[_Graph, Path], None]]] = {
    "onnx": _write_onnx,
    "torch": _write_torch,
}


def _onnx_runner(path: Path, names: Sequence[str]) -> Callable[..., list[Tensor]]:
    """A function that runs an ONNX file."""
    library = optional("onnxruntime", _EXTRA)
    options = library.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = library.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(*inputs: Tensor) -> list[Tensor]:
        feed = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
        return [torch.from_numpy(value) for value in session.run(None, feed)]

    return run


def _torch_runner(path: Path, names: Sequence[str]) -> Callable[..., Sequence[Tensor]]:  # noqa: ARG001
    """A function that runs a file of torch."""
    with _quiet():
        # Its guards also forbid sizes that the graph serves, such as one source for each clip.
        return cast(
            "Callable[..., Sequence[Tensor]]",
            torch.export.load(path).module(check_guards=False),
        )


RUNNERS: Final[dict[ExportFormat, Callable[[Path, Sequence[str]], Callable[..., Any]]]] = {
    "onnx": _onnx_runner,
    "torch": _torch_runner,
}
"""Functions that load a graph's file, given the names of its inputs, and give one that runs it."""


@torch.no_grad()
def _difference(graph: _Graph, path: Path, export_format: ExportFormat) -> float:
    """Largest difference of a written graph from its module, on inputs of other sizes.

    Raises:
        UsageError: It is over the tolerance, or the graph does not run.
    """
    most = 0.0
    try:
        run = RUNNERS[export_format](path, list(graph.inputs))
        pairs = [(graph.module(*inputs), run(*inputs)) for inputs in graph.others]
    except Exception as error:  # of torch or ONNX Runtime, neither of which has one base class
        raise _untraceable(graph, error) from error
    for ours, theirs in ((own, other) for pair in pairs for own, other in zip(*pair, strict=True)):
        if ours.shape != theirs.shape:
            most = float("inf")
            break
        scale = max(1.0, float(ours.abs().max()))
        most = max(most, float((ours - theirs).abs().max()) / scale)
    if not most <= TOLERANCE:
        raise UsageError(
            f"The graph of the part '{graph.name}' differs from the model by {most:.1e}, more than "
            f"{TOLERANCE:.0e}.",
            "Nothing was written; please report it, with `tvsl doctor`.",
        )
    return most


def _described(graph: _Graph, file: str, difference: float) -> dict[str, Any]:
    """Entry of a graph in the record."""

    def values(axes: dict[str, tuple[int | str, ...]], types: Sequence[torch.dtype]) -> list[Any]:
        return [
            {"name": name, "type": str(kind).split(".")[-1], "shape": list(shape)}
            for (name, shape), kind in zip(axes.items(), types, strict=True)
        ]

    return {
        "name": graph.name,
        "file": file,
        "inputs": values(graph.inputs, [value.dtype for value in graph.traced]),
        "outputs": values(graph.outputs, [torch.float32] * len(graph.outputs)),
        "largest_difference": difference,
    }


def _origin(encoder: Encoder, method: Method) -> dict[str, Any]:
    """Origin of the graphs."""
    config = method.config.model_dump(mode="json")
    description = method.config.model_dump_json()
    return {
        "encoder_sha256": encoder.fingerprint,
        "flip_average": encoder.flip_average,
        "head": {
            "method": method.name,
            "sha256": fingerprint(description, method.state_dict()),
            "config": config,
        },
    }


def _preprocessing(localizer: Localizer, parts: EncoderGraphs) -> dict[str, Any]:
    """Description of what stands before the graphs."""
    return {
        "frames": {
            "color": "RGB",
            "shorter_side": parts.shorter_side,
            "cell": parts.cell,
            "fit": localizer.fit,
            "resampling": "bicubic, antialiased",
            "mean": list(parts.mean),
            "std": list(parts.deviation),
            "range": "pixels / 255, less mean, divided by std",
        },
        "waveforms": {
            "sample_rate": localizer.encoder.sample_rate,
            "channels": 1,
            "range": [-1.0, 1.0],
            "least_samples": parts.least_samples,
            "window": localizer.window,
        },
    }


def _versions(export_format: ExportFormat) -> dict[str, str]:
    """Versions of the packages that made the graphs."""
    modules = _MODULES if export_format == "onnx" else ()
    return {"torch": str(torch.__version__)} | {
        name: str(optional(name, _EXTRA).__version__) for name in modules
    }
