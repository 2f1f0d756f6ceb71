"""The world is the same on every machine: hashes of what comes out, quantised.

A failure here on a new machine, numpy or Python means that something is not exact; after a wanted
change of the world, models trained on the old one are out of date, and the hashes are made anew.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from tvsl.media.writing import to_int16
from tvsl.synthetic.world import World

# Split, classes, seed, sources, and how many scenes.
HASHES = {
    "train seen 0 1 30": "39daa1aa78e4fd184e2ee719553e34e53cb8cfc861d7716fd0b4d8dafe9a939c",
    "train all 0 4 6": "e81aa206558bbbb3b9ebcbe136239fa8b475121d5622bf8c43a8588acda3b16f",
    "validation seen 0 2 10": "480f555a7ea923739b6c9c411aba75e0b2659ec192ac3dd6bdc0b15f05d30b0a",
    "test seen 0 1 20": "280b4686602c90ad736844d96308014daf33f932f896b612e41542be6e91ac85",
    "test unseen 0 2 10": "dc4e2f80379ed9cb9dfa2a7438f8d1bad1a0c1e25b77dc9fd9aa8c018d4dc66f",
    "test seen 7 8 3": "fb3df0986770bf4953ba5f4c24e199b5c3fae09e13fee308762b9d1c2bad0fc5",
}
ONE_SCENE = {
    "labels": (("striped star",), None),
    "picture": "df74a3e7841c749d0eaa946d5f9245ec0dd693860b72f3d4b8a5d9abca9c30a9",
    "sound": "9f6c248d8bad2c1e5fe976159e577cca8257f83eb9ae757440b62aa26fef6ea9",
}


def fingerprint(split: Any, classes: Any, seed: int, sources: int, count: int) -> str:
    """SHA-256 over pictures, masks, int16 samples and labels of the first scenes."""
    total = hashlib.sha256()
    world = World(split, classes, seed, twins=0.4, off_screen=0.4)
    for index in range(count):
        scene = world.scene(index, sources)
        total.update(scene.picture.tobytes())
        total.update(to_int16(scene.waveform).astype("<i2").tobytes())
        for panel in scene.panels:
            total.update(np.packbits(panel.masks).tobytes())
        total.update(repr((scene.labels, scene.off_screen)).encode())
    return total.hexdigest()


@pytest.mark.parametrize("what", HASHES)
def test_the_world_is_the_same_everywhere(what: str) -> None:
    split, classes, *numbers = what.split()
    assert fingerprint(split, classes, *map(int, numbers)) == HASHES[what]


def test_one_known_scene() -> None:
    scene = World("test").scene(0)
    assert (scene.labels, scene.off_screen) == ONE_SCENE["labels"]
    assert hashlib.sha256(scene.picture).hexdigest() == ONE_SCENE["picture"]
    sound = to_int16(scene.waveform).astype("<i2")
    assert hashlib.sha256(sound).hexdigest() == ONE_SCENE["sound"]


def test_vector_instructions_decide_no_bit() -> None:
    """A process that is denied AVX makes the same scenes."""
    code = (
        "from tests.synthetic.test_bits import fingerprint\n"
        "print(fingerprint('train', 'all', 0, 2, 15))"
    )
    plain = {**os.environ, "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=plain,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.strip() == fingerprint("train", "all", 0, 2, 15), done.stderr
