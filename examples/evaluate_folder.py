"""Evaluate on pictures, sounds and boxes of one's own.

`python evaluate_folder.py mine/`. The folder holds `manifest.jsonl`, a line for each picture with
its sound, its labels and their boxes; the example writes one of the made-up world where there is
none.
"""

import json
import sys
from pathlib import Path

import tvsl
from tvsl.media import to_int16, write_jpeg, write_wav
from tvsl.synthetic import World


def write_example(folder: Path, count: int = 12) -> None:
    """A folder with a manifest: pictures, sounds, and boxes in pixels."""
    world, lines = World("test"), []
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        scene = world.scene(index, 1)
        panel, name = scene.panels[0], f"scene-{index}"
        write_jpeg(folder / f"{name}.jpg", panel.picture)
        write_wav(folder / f"{name}.wav", to_int16(scene.waveform), scene.sample_rate)
        height, width = panel.picture.shape[:2]
        line = {"id": name, "frame": f"{name}.jpg", "audio": f"{name}.wav", "labels": [panel.label]}
        line |= {
            "width": width,
            "height": height,
            "boxes": {panel.label: [list(panel.boxes[panel.source])]},
        }
        lines.append(json.dumps(line))
    (folder / "manifest.jsonl").write_text("\n".join(lines), encoding="utf-8")


def main(folder: str) -> None:
    root = Path(folder)
    if not (root / "manifest.jsonl").exists():
        write_example(root)
    results = tvsl.evaluate("mini", "folder", data_options={"root": root})
    print(results.table)


if __name__ == "__main__":
    main(*sys.argv[1:])
