"""The everyday encoder: pretrained hearing, seeing and reading in one space, small and embedded."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from tvsl.encoder import (
    EncoderGraphs,
    EncoderOptions,
    FlipAverage,
    FrameTokens,
    LogitScales,
    SoundGrid,
    SoundTokens,
    encode_clips,
)
from tvsl.errors import ShapeError, VocabularyError, WeightsError, first_few, shown
from tvsl.everyday.detector import TRAINING_SIZE
from tvsl.everyday.hearing import PATCH_SAMPLES, PATCH_STEP, SAMPLE_RATE
from tvsl.everyday.model_file import EverydayNetworks, folder_fingerprint, read
from tvsl.everyday.seeing import FINE_CELL
from tvsl.everyday.space import KINDS
from tvsl.everyday.text import POSITIONS, kept_vectors
from tvsl.media.image import fitting_size, resize
from tvsl.tokens import Tokens, Vocabulary
from tvsl.utils import kernels
from tvsl.utils.devices import Precision
from tvsl.utils.model_folder import OWN_FILES, writing
from tvsl.vocabularies import (
    check_distinct,
    check_names,
    everyday_sounds,
    same_name,
    same_names,
)

CELLS: Final = 14
"""Cells along the shorter side of a picture."""
CELL: Final = 24
"""Pixels of a cell; the image network sees 16 of them, the detector 21.4."""
WEAKEST_BOX: Final = 0.1
MOST_BOXES: Final = 64
UNKNOWN_PIECE: Final = "[UNK]"
INNER_PIECE: Final = "##"
"""Mark of a word piece that does not begin a word."""
SAME_MEANING: Final = 0.85
"""Cosine from which on most clips in which one of two everyday names is detected have both
(`benchmarks/everyday_names.py`)."""
LETTERS_OF_A_PIECE: Final = 1.8
LEAST_FAMILIARITY: Final = 0.3
"""Both were chosen on rare words and random letters, so that few of the words and most of the
letters mean nothing; the same script counts."""
_MOST_TEXTS = 8192
_BOXES_OF_GRAPH = 16  # at once: torch takes minutes to trace them one by one
_AT_ONCE = 8  # frames: more need more memory and are no faster


def paint(boxes: Tensor, scores: Tensor, grid: tuple[int, int]) -> Tensor:
    """Evidence of boxes in cells: the highest score of each kind, times the share that is covered.

    Args:
        boxes: (B, k, 4), x1, y1, x2, y2 in cells.
        scores: (B, k, kinds).
        grid: Rows and columns of the cells.

    Returns:
        (B, rows * columns, kinds).
    """

    def covered(low: Tensor, high: Tensor, cells: int) -> Tensor:
        edges = torch.arange(cells, device=boxes.device, dtype=boxes.dtype)
        inside = torch.minimum(high[..., None], edges + 1) - torch.maximum(low[..., None], edges)
        return inside.clamp(0, 1)

    rows = covered(boxes[..., 1], boxes[..., 3], grid[0])
    columns = covered(boxes[..., 0], boxes[..., 2], grid[1])
    shares = (rows[..., :, None] * columns[..., None, :]).flatten(2)
    evidence = scores.new_zeros(boxes.shape[0], grid[0] * grid[1], scores.shape[2])
    step = _BOXES_OF_GRAPH if kernels.is_traced() else 1  # no table of all (boxes, cells, kinds)
    for first in range(0, boxes.shape[1], step):
        part = slice(first, first + step)
        painted = shares[:, part, :, None] * scores[:, part, None]
        evidence = torch.maximum(evidence, painted.amax(dim=1))
    return evidence


class EverydayEncoder:
    """The frozen everyday encoder.

    Args:
        networks: Its networks; they are frozen here.
        tokenizer: Word pieces of its text encoder.
        fingerprint: SHA-256 of its files.
        folder: Its folder, from which copies are made.
    """

    precision: Precision = "float32"
    image_tokens = None
    flip_average: FlipAverage = "none"
    classes: tuple[str, ...] = ()
    text_encoder = None
    logit_scales = LogitScales(image_text=20.0, audio_text=20.0, audio_image=20.0)
    sample_rate = SAMPLE_RATE
    sound_grid = SoundGrid(PATCH_STEP, PATCH_SAMPLES - PATCH_STEP, 0)
    same_meaning = SAME_MEANING

    def __init__(
        self,
        networks: EverydayNetworks,
        tokenizer: Tokenizer,
        fingerprint: str,
        folder: Path | None = None,
    ) -> None:
        self.networks = networks.requires_grad_(False).eval()
        self.tokenizer = tokenizer
        self.fingerprint = fingerprint
        self.folder = folder
        self._texts: dict[str, Tensor] = {}

    @property
    def embedding(self) -> int:
        """D, the size of the space."""
        return self.networks.space.config.embedding

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.networks.classifier.weight.device

    def to(self, device: torch.device | str) -> EverydayEncoder:
        """Move the encoder to a device."""
        self.networks.to(device)
        self.networks.space.prepared()
        self._texts.clear()
        return self

    def save(self, folder: Path) -> None:
        """Copy the encoder's files, which are never written anew: rounding would change them.

        Args:
            folder: An existing folder, which is empty.

        Raises:
            WeightsError: The files are not what they were when the encoder was loaded, or gone.
            OutputError: The folder is not empty, or cannot be written.
        """
        if self.folder is None or folder_fingerprint(self.folder) != self.fingerprint:
            raise WeightsError(
                "The files of this encoder have changed since it was loaded.",
                "Load it again.",
                self.folder,
            )
        with writing(folder, False, "encoder") as work:
            for name in OWN_FILES:
                if (self.folder / name).is_file():
                    shutil.copyfile(self.folder / name, work / name)

    def prepare(self, picture: NDArray[np.uint8], square: bool = False) -> Tensor:
        """Resize a picture to whole cells, in [-1, 1]; see ``Encoder``."""
        if picture.ndim != 3 or picture.shape[-1] != 3 or picture.dtype != np.uint8:
            raise ShapeError(
                f"A picture must be uint8 (H, W, 3), got {picture.shape} {picture.dtype}.",
                "Load it with `tvsl.media.load_image`.",
            )
        side = CELLS * CELL
        shape = (picture.shape[0], picture.shape[1])
        target = (side, side) if square else fitting_size(shape, side, CELL)
        pixels = np.array(resize(picture, target))
        return torch.from_numpy(pixels).permute(2, 0, 1).float() / 127.5 - 1

    def encode(self, frames: Tensor, waveforms: Tensor) -> Tokens:
        """Encode clips; see ``Encoder``."""
        return encode_clips(self, frames, waveforms)

    def graphs(self) -> EncoderGraphs:
        """The networks for ``tvsl export``."""
        nets = self.networks
        return EncoderGraphs(
            (nets.seeing, nets.classifier, nets.detector, nets.space),
            (nets.hearing, nets.space),
            CELL,
            CELLS * CELL,
            (0.5, 0.5, 0.5),
            (0.5, 0.5, 0.5),
            PATCH_SAMPLES + 1,  # two patches: torch would take one as a special case
            small_maps=True,
        )

    @torch.no_grad()  # not inference_mode: heads are trained on what comes out
    def encode_frames(self, frames: Tensor) -> FrameTokens:
        """One token for each cell, and their mean; see ``Encoder``."""
        if frames.ndim != 4 or frames.shape[1] != 3 or any(n % CELL for n in frames.shape[2:]):
            raise ShapeError(
                f"Frames must be (B, 3, H, W) with whole cells of {CELL} pixels, got "
                f"{tuple(frames.shape)}.",
                "Prepare pictures with the encoder's `prepare`.",
            )
        grid = (frames.shape[2] // CELL, frames.shape[3] // CELL)
        parts = [frames] if kernels.is_traced() else frames.split(_AT_ONCE)
        tokens = torch.cat([self._cells(part, grid) for part in parts])
        return FrameTokens(tokens, tokens.mean(dim=1), grid)

    def _cells(self, frames: Tensor, grid: tuple[int, int]) -> Tensor:
        """Tokens of some frames, (B, n, D)."""
        frames = frames.to(self.device)
        # (pixel - 127) / 128, as the image network was trained
        small = kernels.reduced(frames, (grid[0] * FINE_CELL, grid[1] * FINE_CELL)) * (127.5 / 128)
        features = self.networks.seeing(small + 0.5 / 128)
        last = F.interpolate(features.last, size=grid, mode="bilinear", align_corners=False)
        last = last.flatten(2).transpose(1, 2)
        classes = self.networks.classifier(last).softmax(dim=-1)
        fine = features.fine.flatten(2).transpose(1, 2)
        seen = torch.cat([last, fine], dim=-1)
        return self.networks.space.cells(self._kinds(frames, grid), classes, seen)

    def _kinds(self, frames: Tensor, grid: tuple[int, int]) -> Tensor:
        """Evidence for COCO's kinds in every cell, (B, n, 90)."""
        size = (_for_detector(frames.shape[2]), _for_detector(frames.shape[3]))
        found = self.networks.detector(kernels.reduced(frames, size))
        scores = found.logits[..., -KINDS:].sigmoid()  # without the background
        best, places = scores.amax(dim=-1).topk(MOST_BOXES, dim=1)
        scores = scores.gather(1, places[..., None].expand(-1, -1, KINDS))
        boxes = found.boxes.gather(1, places[..., None].expand(-1, -1, 4))
        traced = kernels.is_traced()  # a graph paints all: those that are too weak leave no trace
        used = MOST_BOXES if traced else int((best > WEAKEST_BOX).sum(dim=1).amax())
        scores = scores * (best > WEAKEST_BOX)[..., None]
        down, across = grid[0] / size[0], grid[1] / size[1]
        left, top, right, bottom = boxes.unbind(-1)  # no tensor of factors: a graph would keep it
        corners = left * across, top * down, right * across, bottom * down
        boxes = torch.stack(corners, dim=-1)
        return paint(boxes[:, :used], scores[:, :used], grid)

    @torch.no_grad()  # not inference_mode: heads are trained on what comes out
    def encode_sounds(self, waveforms: Tensor) -> SoundTokens:
        """One token for every 0.48 s, and their mean; see ``Encoder``."""
        return self.pool_columns(self.encode_columns(waveforms))

    @torch.no_grad()  # not inference_mode: heads are trained on what comes out
    def encode_columns(self, waveforms: Tensor) -> Tensor:
        """Patches of sounds, each of which hears 0.96 s, every 0.48 s: (B, D, n).

        Raises:
            ShapeError: Another shape.
        """
        if waveforms.ndim != 2 or waveforms.shape[1] == 0:
            raise ShapeError(
                f"Waveforms must be (B, S), got {tuple(waveforms.shape)}.",
                f"Give mono sound at {SAMPLE_RATE} Hz.",
            )
        features, logits = self.networks.hearing(waveforms.to(self.device))
        return self.networks.space.moments(logits, features).transpose(1, 2)

    def pool_columns(self, columns: Tensor) -> SoundTokens:
        """Columns (B, D, n) of ``encode_columns`` as tokens, with their mean."""
        tokens = columns.transpose(1, 2)
        return SoundTokens(tokens, tokens.mean(dim=1))

    @torch.no_grad()  # not inference_mode: heads are trained on what comes out
    def embed(self, names: Sequence[str]) -> Tensor:
        """Embed class names, the recent ones from a cache; see ``Encoder``.

        Raises:
            VocabularyError: A name is empty, or written in letters that the model cannot read.
        """
        forms = same_names(names)
        if "" in forms:
            raise VocabularyError("A class name is empty.", "Give each class a name.")
        spelled = dict(zip(forms, names, strict=True))
        found = {form: self._texts[form] for form in forms if form in self._texts}
        missing = [form for form in spelled if form not in found]
        if missing:
            self._check_letters([spelled[form] for form in missing])
            sentences = self._sentences(missing)
            rows = self.networks.space.text(sentences)
            found |= dict(zip(missing, rows, strict=True))
            if len(self._texts) > _MOST_TEXTS:
                self._texts.clear()
            self._texts |= found
        return torch.stack([found[form] for form in forms])

    def _sentences(self, forms: Sequence[str]) -> Tensor:
        """Sentence vectors of names; those of the usual vocabulary are kept between runs."""
        compute = partial(self.networks.reading.embed, forms, self.tokenizer)
        if self.device.type != "cpu" or tuple(forms) != same_names(everyday_sounds()):
            return compute()
        kernel = torch.backends.cpu.get_cpu_capability(), torch.get_float32_matmul_precision()
        computed_by = torch.__version__, torch.get_num_threads(), platform.machine(), *kernel
        return kept_vectors("\n".join([self.fingerprint, *map(str, computed_by), *forms]), compute)

    def vocabulary(self, names: Sequence[str]) -> Vocabulary:
        """Class names with their embeddings, which the model must tell apart; see ``Encoder``."""
        check_names(names)  # before anything is computed
        self._check_letters(names)
        ids = [self.tokenizer.encode(form).ids[: POSITIONS - 1] for form in same_names(names)]
        check_distinct(names, ids)
        return Vocabulary(tuple(names), self.embed(names))

    @torch.no_grad()
    def without_meaning(self, names: Sequence[str]) -> tuple[str, ...]:
        """Names that are spelled out, not read, and are like nothing that the networks know.

        A word is spelled out when the text encoder has only pieces of it, of under two letters on
        average.

        Returns:
            Those of which neither a meaning nor a sound is known.
        """
        spelled = [name for name in names if self._is_spelled(same_name(name))]
        if not spelled:
            return ()
        sentences = self.networks.reading.embed(same_names(spelled), self.tokenizer)
        strange = self.networks.space.familiarity(sentences) < LEAST_FAMILIARITY
        return tuple(name for name, is_so in zip(spelled, strange.tolist(), strict=True) if is_so)

    def _is_spelled(self, form: str) -> bool:
        """Tell whether of every word of a name only short pieces are known."""
        words = [self.tokenizer.encode(word, add_special_tokens=False) for word in form.split()]
        return all(
            len(word.tokens) > 1
            and sum(len(piece.removeprefix(INNER_PIECE)) for piece in word.tokens)
            <= LETTERS_OF_A_PIECE * len(word.tokens)
            for word in words
        )

    def _check_letters(self, names: Sequence[str]) -> None:
        """Refuse names of which not even the letters are known."""
        pieces = {name: self.tokenizer.encode(name).tokens for name in names}
        unread = [name for name, found in pieces.items() if UNKNOWN_PIECE in found]
        if unread:
            raise VocabularyError(
                f"The model cannot read {', '.join(first_few(list(map(shown, unread)), 5))}.",
                "Write class names in English.",
            )


def load(folder: str | Path, options: EncoderOptions | None = None) -> EverydayEncoder:
    """Load an everyday encoder.

    Args:
        folder: Its folder.
        options: The device, of which alone it has a choice; the CPU when None.

    Raises:
        WeightsError: A file is missing, damaged, or of another model.
    """
    encoder = EverydayEncoder(*read(Path(folder)), Path(folder))
    return encoder if options is None else encoder.to(options.device)


def _for_detector(length: int) -> int:
    """Side of a frame as the detector sees it, to the nearest pixel."""
    side = CELLS * CELL
    return (2 * TRAINING_SIZE * length + side) // (2 * side)
