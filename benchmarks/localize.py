"""Cost of localizing a clip, stage by stage, beside a plain pipeline of the same networks.

    python benchmarks/localize.py [--models everyday,audioclip] [--rounds 5] [--quick]
    python benchmarks/localize.py --videos FILE,FILE [--models …] [--window 5]
    python benchmarks/localize.py --commands [--clip FILE] [--models …]

A clip of 720p at 25 pictures a second is made up; moments are a second apart, with two labels. The
plain pipeline reads the same pictures and sounds, and runs the plain modules in float32, moment by
moment, with the texts of both labels each time. The two take turns within every round. Figures are
CPU seconds of this process (user and system, all threads, on as many cores as torch has threads),
which a busy machine changes less than the time on the wall. Weights of `audioclip` are random: the
time does not depend on them.

With `--videos` windows of sound that are encoded one by one are compared with the sound encoded
once (`audio_stream`): CPU seconds of hearing and of localizing, the largest and mean difference of
maps (cosines), and at how many of the moments that sound other classes are detected.

With `--commands` `tvsl localize` is run from the shell with its default outputs on 10 s of 720p, by
each model, and on the first 5 s of a clip by `everyday`: time on the wall, CPU seconds with those
of all threads, and what the wall must be. Musts are for two idle cores and fail nothing. The last
table is of clips whose picture never changes, with the encodings that are left out and without.

It fails where maps (cosines) differ by more than 1e-4, or a ratio is below its floor.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from unittest import mock

import av
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch.nn import functional as F

from tvsl.audioclip import AudioCLIP, AudioCLIPEncoder
from tvsl.audioclip.tokenizer import build_word_tokenizer
from tvsl.encoder import Encoder, FrameTokens, SoundTokens, encode_clips, join_panels
from tvsl.everyday.encoder import EverydayEncoder
from tvsl.localization import Localization
from tvsl.localizer import Localizer
from tvsl.media.video import iterate_planes
from tvsl.methods import METHODS
from tvsl.render.video import write_overlay_video, write_page_video
from tvsl.render.video_overlay import VideoOverlay
from tvsl.tokens import Queries, Tokens, Vocabulary
from tvsl.utils.devices import keep_freed_memory

SIZE = (720, 1280)
RATE, SOUND_RATE = 25, 44_100
LABELS = ("dog barking", "train")
CLOSE = 1e-4
FLOORS = {"audioclip": 1.3, "everyday": 1.1, "mini": 0.9}
"""Least ratio of plain to ours, of all that networks and head cost; docs/speed.md has the goal."""
DRAWING_SHARE = 0.65
"""Most that drawing may cost, as a share of overlay.mp4 (frames are also read and encoded).
All of it is work on pixels, so that the ratio means the same on every processor; of what the
networks cost, drawing is 40 % on one and 72 % on another."""
COMMAND_LABELS = {"mini": "red disc,blue square", "everyday": "dog barking,train"}
MUSTS = {"mini": 5.0, "everyday": 7.0, "audioclip": 13.0}
"""Seconds on the wall for 10 s of 720p, with default outputs, on two idle cores."""
COMMAND_CEILING = 5.0
"""Most that the command may cost, beside plain networks, overlay and page's video of the same clip.
In two seconds the start is a large part of it."""
FIRST, FIRST_MUST = 5, 3.0
"""Seconds of the short clip, and the most that `everyday` may take for it."""


def write_clip(
    path: Path,
    seconds: int,
    size: tuple[int, int] = SIZE,
    moves: bool = True,
    lossless: bool = False,
) -> Path:
    """Write a moving picture with a sound that changes.

    Args:
        path: An mp4 file.
        seconds: Its length.
        size: Height and width.
        moves: Whether the picture moves, or is the same throughout.
        lossless: Whether the pictures are stored as they are; else x264 leaves traces of a level or
            two, which differ from picture to picture.
    """
    height, width = size
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (height // 40, width // 20, 3), dtype=np.uint8)
    wide = np.repeat(np.repeat(coarse, 40, axis=0), 40, axis=1)
    with av.open(str(path), "w") as output:
        quality = {"qp": "0"} if lossless else {}
        video = output.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", **quality})
        video.height, video.width, video.pix_fmt = height, width, "yuv420p"
        sound = output.add_stream("aac", rate=SOUND_RATE, layout="mono")
        for second in range(seconds):  # one after the other: hours of sound fill the memory
            for number in range(second * RATE, (second + 1) * RATE):
                shift = 2 * number % width if moves else 0
                picture = np.ascontiguousarray(wide[:, shift:][:, :width])
                output.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            places = np.arange(second * SOUND_RATE, (second + 1) * SOUND_RATE)
            samples = 0.3 * np.sin(places * 0.05) + 0.1 * random.standard_normal(places.size)
            frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), "fltp", "mono")
            frame.sample_rate, frame.time_base = SOUND_RATE, Fraction(1, SOUND_RATE)
            frame.pts = second * SOUND_RATE
            output.mux(sound.encode(frame))
        output.mux(video.encode(None))
        output.mux(sound.encode(None))
    return path


class Spent:
    """CPU seconds by stage, of every round."""

    def __init__(self) -> None:
        self.rounds: dict[str, list[float]] = {}

    @contextmanager
    def on(self, stage: str) -> Iterator[None]:
        """Count what the block spends."""
        start = time.process_time()
        yield
        self.rounds.setdefault(stage, []).append(time.process_time() - start)

    def median(self, stage: str) -> float:
        """Median over the rounds."""
        return statistics.median(self.rounds[stage])

    def ratio(self, stage: str, other: str) -> float:
        """Median of a stage beside another one of the same round, which was measured just then."""
        rounds = zip(self.rounds[stage], self.rounds[other], strict=True)
        return statistics.median(one / beside for one, beside in rounds)


class PlainAudioCLIP:
    """Plain modules, and texts that are encoded again for each moment."""

    def __init__(self, encoder: AudioCLIPEncoder) -> None:
        self.model, self.encoder = encoder.model, encoder

    def encode(self, frames: torch.Tensor, waveforms: torch.Tensor) -> Tokens:
        """Tokens of one clip."""
        seen = self.frames(frames)
        axes = {"none": (), "mirror": (3,), "turn": (2, 3)}[self.encoder.flip_average]
        if axes:
            other = self.frames(frames.flip(axes))
            back = other.tokens.unflatten(1, seen.grid).flip([axis - 1 for axis in axes])
            both = (seen.tokens + back.flatten(1, 2)) / 2, (seen.embeddings + other.embeddings) / 2
            seen = FrameTokens(*both, seen.grid)
        heard = self.model.audio.features(self.model.scaled(waveforms))
        sounds = SoundTokens(self.model.audio.tokens(heard), self.model.audio.pool(heard))
        return join_panels(seen, sounds, 1)

    def frames(self, frames: torch.Tensor) -> FrameTokens:
        """Tokens of pictures as they are."""
        features = self.model.visual.features(frames)
        pool = self.model.visual.attnpool
        grid = (features.shape[2], features.shape[3])
        return FrameTokens(pool.tokens(features, self.encoder.image_tokens), pool(features), grid)

    def vocabulary(self, names: Sequence[str]) -> Vocabulary:
        """Text embeddings."""
        ids = token_ids(self.encoder, names)
        return Vocabulary(tuple(names), F.normalize(self.model.encode_text(ids), dim=-1))


class PlainEveryday:
    """The same networks without fused kernels and without a memory of names."""

    def __init__(self, encoder: EverydayEncoder) -> None:
        self.encoder = encoder

    def encode(self, frames: torch.Tensor, waveforms: torch.Tensor) -> Tokens:
        """Tokens of one clip."""
        self.encoder.networks.requires_grad_(True)  # plain modules are for what may be trained
        try:
            return encode_clips(self.encoder, frames, waveforms)
        finally:
            self.encoder.networks.requires_grad_(False)

    def vocabulary(self, names: Sequence[str]) -> Vocabulary:
        """Text embeddings."""
        self.encoder._texts.clear()
        return self.encoder.vocabulary(names)


def token_ids(encoder: AudioCLIPEncoder, names: Sequence[str]) -> torch.Tensor:
    """Token ids of names; made-up ones where CLIP's vocabulary is absent."""
    if encoder.model.tokenizer is not None:
        return encoder.model.tokenizer.class_ids(names)
    text = encoder.config.text
    ids = torch.zeros(len(names), text.context, dtype=torch.int64)
    for row, name in enumerate(names):
        ids[row, : len(name) + 1] = torch.tensor([*name.encode(), text.vocabulary - 1])
    return ids


class RandomAudioCLIP(AudioCLIPEncoder):
    """AudioCLIP in full size with random weights, which reads any name."""

    def vocabulary(self, names: Sequence[str]) -> Vocabulary:
        """Text embeddings, encoded once."""
        if tuple(names) not in self._made:
            embeddings = self.model.encode_text(token_ids(self, names))
            self._made[tuple(names)] = Vocabulary(tuple(names), F.normalize(embeddings, dim=-1))
        return self._made[tuple(names)]

    _made: dict[tuple[str, ...], Vocabulary] = {}  # noqa: RUF012


def load(name: str) -> Localizer:
    """The localizer of a model; `audioclip` has random weights."""
    if name != "audioclip":
        return Localizer.from_pretrained(name, device="cpu")
    torch.manual_seed(0)
    encoder: Encoder = RandomAudioCLIP(AudioCLIP().freeze())
    method = METHODS["tvsl"]
    return Localizer(encoder, method.from_config(method.config_type(), None), "audioclip, random")


@dataclass
class Moment:
    """Inputs of one moment."""

    frame: torch.Tensor
    waveform: torch.Tensor


@torch.inference_mode()
def plain_maps(
    localizer: Localizer, moments: Sequence[Moment], labels: Sequence[str]
) -> list[NDArray[np.float32]]:
    """Maps of all moments by the plain pipeline."""
    encoder = localizer.encoder
    plain = (
        PlainAudioCLIP(encoder) if isinstance(encoder, AudioCLIPEncoder) else PlainEveryday(encoder)  # type: ignore[arg-type]
    )
    names, maps = list(encoder.classes) or labels, []  # a sound is shared out among all classes
    for moment in moments:
        tokens = plain.encode(moment.frame[None], moment.waveform[None])
        vocabulary = plain.vocabulary(names)
        queries = Queries.from_lists([vocabulary.indices(labels)])
        method = localizer.method
        method.detect(tokens, vocabulary)
        found = method.postprocess(method.spread_maps(tokens, queries, vocabulary))
        maps.append(found.numpy())
    return maps


def measure(name: str, clip: Path, seconds: int, rounds: int) -> tuple[Spent, float, int]:
    """Spend of every stage, largest difference of maps, and how many moments there are."""
    if sys.platform == "linux":
        # Two threads on the halves of one core spend more seconds on the same work.
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[: torch.get_num_threads()])
    localizer, spent = load(name), Spent()
    labels = list(localizer.encoder.classes[:2]) or list(LABELS)
    folder = clip.parent
    moments: list[Moment] = []
    encoder = localizer.encoder
    latest: dict[str, torch.Tensor] = {}

    def keeping(part: str, run: Callable[[torch.Tensor], object]) -> Callable[..., object]:
        def kept(values: torch.Tensor) -> object:
            latest[part] = values[0]
            return run(values)

        return kept

    for part in ("encode_frames", "encode_sounds"):
        setattr(encoder, part, keeping(part, getattr(encoder, part)))
    found: list[Localization] = []
    difference = 0.0
    list(localizer.localize_video(clip, labels, end=2.0))  # packs weights, fills caches
    spent.rounds.clear()
    for _ in range(rounds):
        moments.clear()
        found.clear()
        with spent.on("localizing"):
            for result in localizer.localize_video(clip, labels, end=float(seconds)):
                found.append(result)
                moments.append(Moment(latest["encode_frames"], latest["encode_sounds"]))
        with spent.on("plain"):
            maps = plain_maps(localizer, moments, labels)
        for result, plain in zip(found, maps, strict=True):
            for source, expected in zip(result.sources, plain, strict=True):
                difference = max(difference, float(np.abs(source.grid - expected).max()))
        with spent.on("ours"), torch.inference_mode():
            for moment in moments:
                tokens = encoder.encode(moment.frame[None], moment.waveform[None])
                vocabulary = localizer.encoder.vocabulary(labels)
                localizer.method.detect(tokens, vocabulary)
                queries = Queries.from_lists([range(len(labels))])
                localizer.method.spread_maps(tokens, queries, vocabulary)
        pictures = [frame.planes for frame in iterate_planes(clip, SIZE, 0.0, 1.0)]
        overlay = VideoOverlay(found, SIZE)
        with spent.on("drawing"):
            for number, picture in enumerate(pictures):
                overlay.draw(picture, number / RATE)
        with spent.on("overlay.mp4"):
            write_overlay_video(clip, folder / "overlay.mp4", found, force=True)
        with spent.on("page's video"):
            write_page_video(clip, folder / "page.mp4", 640)
    if name in COMMAND_LABELS:
        options = ["--model", name, "--labels", COMMAND_LABELS[name]]
        spent.rounds["command"] = [run_command([clip, *options], folder / "out")[1]]
    return spent, difference, len(moments)


def hearing(
    localizer: Localizer, video: Path, vocabulary: Sequence[str] | None
) -> tuple[list[Localization], float, float]:
    """Results of a video, with the CPU seconds of hearing and of all of `localize_video`."""
    spent, encoder = Spent(), localizer.encoder
    names = ("encode_columns", "pool_columns")

    def counted(run: Callable[[torch.Tensor], object]) -> Callable[[torch.Tensor], object]:
        def spending(values: torch.Tensor) -> object:
            with spent.on("hearing"):
                return run(values)

        return spending

    for name in names:
        setattr(encoder, name, counted(getattr(encoder, name)))
    with spent.on("all"):
        found = list(localizer.localize_video(video, vocabulary=vocabulary))
    for name in names:
        delattr(encoder, name)
    return found, sum(spent.rounds["hearing"]), spent.median("all")


def compare_stream(models: Sequence[str], videos: Sequence[Path], window: float | None) -> Table:
    """A table of windows beside the stream, a row for each model and video."""
    table = Table(title=f"window {'as usual' if window is None else f'{window:g} s'}")
    for column in ("model, video", "moments"):
        table.add_column(column)
    for column in ("hearing", "stream", "all", "stream", "largest", "mean", "labels"):
        table.add_column(column, justify="right")
    for name in models:
        usual = load(name)
        vocabulary = usual.encoder.classes or (LABELS if name == "audioclip" else None)
        pair = [
            Localizer(usual.encoder, usual.method, name, window=window, audio_stream=streams)
            for streams in (False, True)
        ]
        for video in videos:
            list(usual.localize_video(video, vocabulary=vocabulary, end=1.0))  # fills caches
            (apart, *first), (streamed, *then) = (hearing(one, video, vocabulary) for one in pair)
            changed, differences = 0, []
            for one, other in zip(apart, streamed, strict=True):
                changed += {s.label for s in one.sources} != {s.label for s in other.sources}
                maps = {s.label: s.grid for s in other.sources}
                differences += [s.grid - maps[s.label] for s in one.sources if s.label in maps]
            sounding = sum(one.heard is not None for one in apart)
            away = np.abs(np.stack(differences)) if differences else np.zeros(1)
            table.add_row(
                f"{name}, {video.stem}",
                f"{len(apart)}, {sounding} sound",
                *(f"{value:.2f}" for value in (first[0], then[0], first[1], then[1])),
                f"{away.max():.3f}",
                f"{away.mean():.4f}",
                f"{changed / max(1, sounding):.0%}",
            )
    return table


def command_share(spent: Spent) -> float:
    """Cost of the command beside plain networks, overlay and page's video."""
    stages = ("plain", "overlay.mp4", "page's video")
    return spent.median("command") / sum(spent.median(stage) for stage in stages)


def report(name: str, spent: Spent, moments: int, seconds: int, difference: float) -> Table:
    """A table of one model."""
    table = Table(title=f"{name}: {moments} moments, {seconds} s of 720p")
    table.add_column("stage")
    for column in ("CPU s", "times plain"):
        table.add_column(column, justify="right")
    plain, ours = spent.median("plain"), spent.median("ours")
    drawing = seconds * spent.median("drawing")
    rows: list[tuple[str, float, Callable[[], str]]] = [
        ("plain networks and head", plain, lambda: "1.00"),
        ("our networks and head", ours, lambda: f"{spent.ratio('plain', 'ours'):.2f}"),
        ("localize_video, reading too", spent.median("localizing"), lambda: ""),
        ("drawing all frames", drawing, lambda: ""),
        ("overlay.mp4: read, draw, encode", spent.median("overlay.mp4"), lambda: ""),
        ("video of the page", spent.median("page's video"), lambda: ""),
    ]
    if "command" in spent.rounds:
        share = f"{command_share(spent):.1f} times plain, overlay and page"
        rows.append(("tvsl localize, from shell to files", spent.median("command"), lambda: share))
    for stage, value, ratio in rows:
        table.add_row(stage, f"{value:.2f}", ratio())
    drawn = seconds * spent.ratio("drawing", "ours")
    table.caption = (
        f"largest difference of maps {difference:.1e}; drawing alone is {drawn:.0%} of our networks"
    )
    return table


def write_audioclip(folder: Path) -> Path:
    """Write AudioCLIP in full size with random weights, a tokenizer of whole words and a head."""
    torch.manual_seed(0)
    model = AudioCLIP()
    known = dict.fromkeys(word for label in LABELS for word in label.split())
    # With padding, start, end and the unknown word as many as CLIP's vocabulary has.
    others = (f"word{number}" for number in range(model.config.text.vocabulary - 4 - len(known)))
    model.tokenizer = build_word_tokenizer([*known, *others], model.config.text.context)
    method = METHODS["tvsl"]
    head = method.from_config(method.config_type(), None)
    encoder: Encoder = AudioCLIPEncoder(model.freeze())
    return Localizer(encoder, head, "audioclip, random").save_pretrained(folder)


def run_command(arguments: Sequence[str | Path], output: Path) -> tuple[float, float]:
    """Seconds on the wall and of the CPU of `tvsl localize`, from shell to files."""
    command = [sys.executable, "-m", "tvsl", "localize", *map(str, arguments)]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [*command, "-o", str(output), "--force"], capture_output=True, text=True, check=False
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(done.stderr[-1000:])
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def time_commands(folder: Path, models: Sequence[str], clip: Path | None, rounds: int) -> Table:
    """A table of the command as a whole, medians of some rounds after one that does not count."""
    long = write_clip(folder / "clip.mp4", 10)
    if clip is None:
        clip = write_clip(folder / "short.mp4", FIRST, (360, 640))
    cases: list[tuple[str, list[str | Path], int, float]] = []
    for model in models:
        place = write_audioclip(folder / model) if model == "audioclip" else model
        labels = COMMAND_LABELS.get(model, ",".join(LABELS))
        options: list[str | Path] = ["--model", place, "--labels", labels]
        cases.append((f"{model}, 10 s of 720p", [long, *options], 10, MUSTS[model]))
        if model == "everyday":
            short: list[str | Path] = [clip, *options, "--end", str(FIRST)]
            cases.append((f"{model}, {FIRST} s of {clip.name}", short, FIRST, FIRST_MUST))
    table = Table(title=f"tvsl localize, from shell to files, medians of {rounds}")
    for column in ("model, clip", "CPU s", "wall s", "share of the clip", "must, wall s", ""):
        table.add_column(column, justify="left" if column in ("model, clip", "") else "right")
    for name, arguments, seconds, must in cases:
        found = [run_command(arguments, folder / "out") for _ in range(rounds + 1)][1:]
        wall, spent = (statistics.median(part) for part in zip(*found, strict=True))
        verdict = "holds" if wall <= must else "does not hold"
        share = f"{wall / seconds:.0%}"
        table.add_row(name, f"{spent:.1f}", f"{wall:.1f}", share, f"{must:g}", verdict)
    return table


@torch.inference_mode()
def compare_still(folder: Path, models: Sequence[str], seconds: int, rounds: int) -> Table:
    """A table of clips whose picture never changes: what is saved, and by what maps change."""
    table = Table(title=f"a picture that never changes: {seconds} s of 720p, localize_video")
    words = ("model", "stored")
    for column in (*words, "CPU s", "with each moment encoded", "saved", "maps differ by"):
        table.add_column(column, justify="left" if column in words else "right")
    for name in models:
        localizer = load(name)
        labels = list(localizer.encoder.classes[:2]) or list(LABELS)
        for stored in ("without loss", "as x264 does by itself"):
            lossless = stored == "without loss"
            clip = write_clip(folder / "still.mp4", seconds, moves=False, lossless=lossless)
            spent = Spent()
            for number in range(rounds + 1):
                with spent.on("once"):
                    once = list(localizer.localize_video(clip, labels))
                with (
                    spent.on("each"),
                    mock.patch("tvsl.clip_encoder.same_blocks", return_value=False),
                ):
                    each = list(localizer.localize_video(clip, labels))
                if not number:
                    spent.rounds.clear()  # packs weights, fills caches
            apart = max(
                float(np.abs(ours.grid - other.grid).max())
                for found, alone in zip(once, each, strict=True)
                for ours, other in zip(found.sources, alone.sources, strict=True)
            )
            table.add_row(
                name,
                stored,
                f"{spent.median('once'):.2f}",
                f"{spent.median('each'):.2f}",
                f"{1 - spent.ratio('once', 'each'):.0%}",
                f"{apart:.1e}",
            )
    return table


def main() -> None:
    """Measure and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", help="of mini, everyday and audioclip, by commas")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--commands", action="store_true", help="the command as a whole")
    parser.add_argument("--clip", type=Path, help="the short clip of --commands; made up otherwise")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--videos", help="compare --audio-stream with windows on these")
    parser.add_argument("--window", type=float, help="seconds heard at once, with --videos")
    parser.add_argument("--quick", action="store_true", help="two seconds, three rounds")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seconds, arguments.rounds = 2, 3
    models = (
        arguments.models or ("mini," if arguments.commands else "") + "everyday,audioclip"
    ).split(",")
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()  # as the command does
    console, failures = Console(width=100), []
    console.print(
        f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} of "
        f"{os.cpu_count()} cores, torch {torch.__version__}, "
        f"{torch.backends.cpu.get_cpu_capability()}"
    )
    if arguments.commands:
        with tempfile.TemporaryDirectory() as work:
            place = Path(work)
            console.print(time_commands(place, models, arguments.clip, arguments.rounds))
            console.print(compare_still(place, models, arguments.seconds, arguments.rounds))
        return
    if arguments.videos:
        videos = [Path(one) for one in arguments.videos.split(",")]
        console.print(compare_stream(models, videos, arguments.window))
        return
    with tempfile.TemporaryDirectory() as folder:
        clip = write_clip(Path(folder) / "clip.mp4", arguments.seconds)
        for name in models:
            spent, difference, moments = measure(name, clip, arguments.seconds, arguments.rounds)
            console.print(report(name, spent, moments, arguments.seconds, difference))
            ratio = spent.ratio("plain", "ours")
            if difference > CLOSE:
                failures.append(f"{name}: maps differ by {difference:.1e}")
            if ratio < FLOORS.get(name, 1.0):
                failures.append(f"{name}: {ratio:.2f} times plain, {FLOORS[name]} is the floor")
            share = arguments.seconds * spent.ratio("drawing", "overlay.mp4")
            if share > DRAWING_SHARE:
                failures.append(
                    f"{name}: drawing costs {share:.0%} of overlay.mp4, over {DRAWING_SHARE:.0%}"
                )
            if "command" in spent.rounds and command_share(spent) > COMMAND_CEILING:
                failures.append(
                    f"{name}: the command costs {command_share(spent):.1f} times plain networks, "
                    f"overlay and page's video, over {COMMAND_CEILING:g}"
                )
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
