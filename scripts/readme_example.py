"""Make the photograph and the sound of the README's first picture (``make readme-example``).

The photograph is of COCO's validation split (CC BY 2.0), the sounds are a sentence of LibriSpeech
(CC BY 4.0) and sea waves of ESC-10 (CC BY 3.0): none is in a training set of this project. They are
cut to 5 s, made equally loud but for the sea, which is 3 dB softer, added, and coded as Opus.
``docs/example/NOTICE`` names the authors. ``make readme-picture`` localizes the two, by the very
line that the README shows.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from demo_mixtures import PEAK, RATE, SECONDS, write_opus
from numpy.typing import NDArray

from tvsl.media import load_audio, load_image
from tvsl.media.writing import write_jpeg

PHOTOGRAPH = "media/images/coco/000000007281.jpg"
SPEECH, BEGIN = "media/audio/librosa/5703-47212-0000.ogg", 1.0
SEA, SEA_DECIBELS = "real/sounds/sea_waves/esc10_1-43760-A.ogg", -3.0
QUALITY = 80


def loud(path: Path, begin: float = 0.0) -> NDArray[np.float64]:
    """Five seconds of a sound, of root mean square 1."""
    wave = load_audio(path, RATE, begin, SECONDS).samples.astype(np.float64)
    wave /= np.sqrt(np.square(wave).mean())
    return np.pad(wave, (0, max(0, round(RATE * SECONDS) - len(wave))))


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--output", type=Path, default=Path("docs/example"))
    options = parser.parse_args()
    sea = loud(options.shared / SEA) * 10 ** (SEA_DECIBELS / 20)
    mixture = loud(options.shared / SPEECH, BEGIN) + sea
    mixture *= PEAK / np.abs(mixture).max()
    options.output.mkdir(parents=True, exist_ok=True)
    picture = load_image(options.shared / PHOTOGRAPH)
    write_jpeg(options.output / "beach.jpg", picture, QUALITY)
    write_opus(options.output / "beach.ogg", mixture.astype(np.float32))


if __name__ == "__main__":
    main()
