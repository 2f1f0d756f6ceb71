"""Relative errors of the encoders against golden arrays of AudioCLIP's own code.

    python benchmarks/agreement.py GOLDEN_FOLDER VOCABULARY_FILE

The folder holds ``fill.py``, which makes the weights, ``audioclip.npz`` and ``phrases.json``.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from tvsl.audioclip.audio_encoder import AudioEncoder
from tvsl.audioclip.config import AudioCLIPConfig
from tvsl.audioclip.encoder import AudioCLIPEncoder
from tvsl.audioclip.model import AudioCLIP
from tvsl.audioclip.tokenizer import clip_tokenizer


def load_fill(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("fill", path)
    if spec is None or spec.loader is None:
        sys.exit(f"{path} cannot be read")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def filled(fill: ModuleType, waveform_scale: float) -> AudioCLIP:
    model = AudioCLIP(AudioCLIPConfig(waveform_scale=waveform_scale))
    state = model.state_dict()
    made = {name: fill.weight(name, tuple(value.shape)) for name, value in state.items()}
    arrays = {name: value for name, value in made.items() if value is not None}
    state.update({name: torch.from_numpy(np.asarray(value)) for name, value in arrays.items()})
    model.load_state_dict(state)
    return model.freeze()


def plain_and_fast(
    model: AudioCLIP, fill: ModuleType, phrases: list[str]
) -> Iterator[tuple[str, Tensor, Tensor | None]]:
    """Arrays of the plain and of the fast path, by name; None where there is no fast one."""
    encoder = AudioCLIPEncoder(model, image_tokens="released")
    small, wide = (torch.from_numpy(fill.image(2, 224, side)) for side in (224, 448))
    long, short = (torch.from_numpy(fill.audio(b, s)) for b, s in ((2, 220_500), (1, 88_200)))
    fast, fast_wide = encoder.encode(small, long[:, 0]), encoder.encode(wide, long[:, 0])
    fast_short = encoder.encode(small[:1], short[:, 0])
    yield "image_pooled_224", model.encode_image(small), fast.image
    tokens = model.image_tokens
    yield "image_tokens_released_224", tokens(small, "released")[0], fast.visual[0]
    yield "image_tokens_released_448", tokens(wide, "released")[0], fast_wide.visual[0]
    assert isinstance(model.audio, AudioEncoder)
    yield "fbsp_spectrogram", model.audio.spectrogram(long[:1, 0])[:, ::8, ::16], None
    yield "audio_pooled_5s", model.encode_audio(long), fast.sound
    yield "audio_pooled_2s", model.encode_audio(short), fast_short.sound
    yield "audio_tokens_5s", model.audio_tokens(long)[0], fast.audio[0]
    yield "audio_tokens_2s", model.audio_tokens(short)[0], fast_short.audio[0]
    yield "text_embeddings", model.encode_text(phrases), None


def error(found: Tensor, expected: np.ndarray) -> float:
    difference = found.double().numpy() - expected.astype(np.float64)
    return float(np.linalg.norm(difference) / np.linalg.norm(expected))


@torch.inference_mode()
def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    fill = load_fill(folder / "fill.py")
    phrases = json.loads((folder / "phrases.json").read_text())["phrases"]
    model = filled(fill, 1.0)
    model.tokenizer = clip_tokenizer(sys.argv[2])
    table = Table("array", "plain modules", "fast path", title="relative error, float32")
    with np.load(folder / "audioclip.npz") as golden:
        for name, plain, fast in plain_and_fast(model, fill, phrases):
            fast_error = "" if fast is None else f"{error(fast, golden[name]):.0e}"
            table.add_row(name, f"{error(plain, golden[name]):.0e}", fast_error)
    loud = filled(fill, 32_768.0)
    sound = torch.from_numpy(fill.audio(2, 220_500))[:, 0]
    expected = loud.audio_tokens(sound).numpy()
    found = AudioCLIPEncoder(loud).encode(torch.zeros(2, 3, 224, 224), sound).audio
    table.add_row("audio tokens, full loudness", "reference", f"{error(found, expected):.0e}")
    Console(width=90).print(table)


if __name__ == "__main__":
    main()
