"""The twelve other methods once more, naively: clip by clip and cell by cell, in plain torch.

Written from the formulas of their papers and public code as `golden/BASELINES.md` and the papers
give them, with the adaptations that the methods' docs name. Nothing of the package is used but the
names in a head's state and config. Each method is a class with ``losses`` and ``map``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from tests.methods.tvsl.oracle import binary_cross_entropy, cosine, cross_entropy, mean, total
from tvsl.tokens import Tokens

Rows = list[Tensor]


def unit(x: Tensor) -> Tensor:
    return x / torch.dot(x, x).sqrt()


def info_nce(table: list[Rows]) -> Tensor:
    """Both directions of a square table, summed, each the mean over its rows."""
    columns = [list(column) for column in zip(*table, strict=True)]
    ways = [[cross_entropy(row, place) for place, row in enumerate(t)] for t in (table, columns)]
    return mean(ways[0]) + mean(ways[1])


def highest(values: Sequence[Tensor]) -> Tensor:
    return max(values, key=lambda value: value.item())


def windows(old: int, new: int) -> list[range]:
    """Range of `old` places that each of `new` ones covers."""
    return [range(i * old // new, math.ceil((i + 1) * old / new)) for i in range(new)]


class Naive:
    """Base of all: parameters, tokens, and the tokens scaled where a config says so.

    Args:
        state: The head's parameters and buffers by name.
        options: Its hyperparameters.
        tokens: B clips.
        labels: Classes that sound, (B, N) bool.
        text: Unit text embeddings, (N, D).
        partners: Another clip for each clip, for methods that draw one.
    """

    def __init__(
        self,
        state: Mapping[str, Tensor],
        options: Any,
        tokens: Tokens,
        labels: Tensor,
        text: Tensor,
        partners: Sequence[int],
    ) -> None:
        self.state, self.options, self.partners = state, options, list(partners)
        self.labels, self.text = labels.tolist(), list(text)
        self.grid, self.panels = tokens.grid, tokens.panels
        self.batch, self.classes = range(tokens.batch), range(len(text))
        scaled = getattr(options, "scale_tokens", False)
        factor = math.sqrt(tokens.size)

        def given(x: Tensor) -> Tensor:
            return factor * unit(x) if scaled else x

        self.visual = [[given(v) for v in rows] for rows in tokens.visual]
        self.audio = [[given(a) for a in rows] for rows in tokens.audio]
        self.image = [given(v) for v in tokens.image]
        self.sound = [given(a) for a in tokens.sound]

    def linear(self, name: str, x: Tensor) -> Tensor:
        if f"{name}.weight" not in self.state:
            return x
        x = self.state[f"{name}.weight"] @ x
        return x + self.state[f"{name}.bias"] if f"{name}.bias" in self.state else x

    def layers(self, name: str, x: Tensor, first: int = 0, second: int = 2) -> Tensor:
        """Linear, ReLU, linear."""
        return self.linear(f"{name}.{second}", self.linear(f"{name}.{first}", x).clamp(min=0))

    def factor(self, name: str, value: Tensor) -> Tensor:
        scale = self.state[f"{name}.log_scale"]
        if scale.item() > math.log(100):
            return 100 * value
        return value if scale.item() < 0 else scale.exp() * value

    def frame(self, panel: int) -> list[int]:
        """Cells of a panel, row by row."""
        width = self.grid[1] // self.panels
        return [
            row * self.grid[1] + panel * width + column
            for row in range(self.grid[0])
            for column in range(width)
        ]


class Cosines(Naive):
    """EZ-VSL and its kin: cosines of projected cells with a projected sound."""

    layer = "project_image"

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.cells = [[self.linear(self.layer, v) for v in rows] for rows in self.visual]
        self.ears = [self.linear("project_audio", a) for a in self.sound]

    def s(self, i: int, j: int) -> Rows:
        """S_ij, cell by cell."""
        return [cosine(v, self.ears[j]) for v in self.cells[i]]

    def map(self, clip: int, label: int, alone: bool) -> Rows:
        return self.s(clip, clip)

    def best(self, margin: float = 0.0) -> list[Rows]:
        tau = self.options.temperature
        return [
            [(highest(self.s(i, j)) - margin * (i == j)) / tau for j in self.batch]
            for i in self.batch
        ]


class EZVSL(Cosines):
    def losses(self) -> dict[str, Tensor]:
        return {"contrastive": info_nce(self.best())}


class MarginNCE(Cosines):
    def losses(self) -> dict[str, Tensor]:
        return {"contrastive": info_nce(self.best(self.options.margin))}


def masked(values: Rows, threshold: float, softness: float) -> Tensor:
    """sum M S / sum M with M = sigma((S - threshold) / softness)."""
    masks = [torch.sigmoid((s - threshold) / softness) for s in values]
    return total(m * s for m, s in zip(masks, values, strict=True)) / total(masks)


class LVS(Cosines):
    def losses(self) -> dict[str, Tensor]:
        o, rows = self.options, []
        for i in self.batch:
            row = [
                masked(self.s(i, j), o.positive_threshold, o.mask_temperature) for j in self.batch
            ]
            row.append(masked(self.s(i, i), o.negative_threshold, -o.mask_temperature))
            rows.append(cross_entropy([x / o.temperature for x in row], i))
        return {"contrastive": mean(rows)}


class FNAC(Cosines):
    layer = "project_image.1"  # behind a dropout

    def losses(self) -> dict[str, Tensor]:
        o, across = self.options, self.best()

        def shares(rows: list[Rows]) -> Tensor:
            return torch.stack([torch.stack(row).softmax(dim=0) for row in rows])

        def likeness(rows: Rows) -> Tensor:
            return shares([[torch.dot(a, b) / o.temperature for b in rows] for a in rows])

        seen, found = [], []
        for i in self.batch:
            directions = [unit(v) for v in self.cells[i]]
            own = [s.item() / o.temperature for s in self.s(i, i)]
            low, high = min(own), max(own)
            kept = [(s - low) / (high - low + 1e-5) > o.foreground_threshold for s in own]
            seen.append(mean(directions))
            found.append(mean([v * k for v, k in zip(directions, kept, strict=True)]))
        a, i_, f = (likeness(x) for x in ([unit(x) for x in self.ears], seen, found))
        x, weight = shares(across), o.suppression
        return {
            "contrastive": info_nce(across),
            "fns1": weight * (a - x).abs().mean(),
            "fns2": weight * (i_ - x).abs().mean(),
            "tns": weight * (a - f).abs().mean(),
        }


class Alignment(Cosines):
    def losses(self) -> dict[str, Tensor]:
        """Without noise an augmented clip is the clip."""
        o = self.options
        looks = [self.linear("align_image", mean(cells)) for cells in self.cells]
        hears = [self.linear("align_audio", ear) for ear in self.ears]

        def s_l(i: int, j: int) -> Tensor:
            return masked(self.s(i, j), o.positive_threshold, o.mask_temperature)

        def s_a(i: int, j: int) -> Tensor:
            return cosine(looks[i], hears[j])

        def nearest(pooled: Rows) -> list[int]:
            return [
                max(
                    (j for j in self.batch if j != i),
                    key=lambda j, i=i: cosine(pooled[i], pooled[j]).item(),
                    default=i,  # alone
                )
                for i in self.batch
            ]

        own = list(self.batch)
        of_pictures, of_sounds = ([own, own, nearest(side)] for side in (self.image, self.sound))

        def contrast(s: Callable[[int, int], Tensor]) -> Tensor:
            sum_of_all = torch.zeros(())
            for look in of_pictures:
                for hear in of_sounds:
                    table = [
                        [
                            # What is one clip's is no negative.
                            torch.tensor(-math.inf)
                            if i != j and look[i] == hear[j]
                            else s(look[i], hear[j]) / o.temperature
                            for j in own
                        ]
                        for i in own
                    ]
                    sum_of_all = sum_of_all + info_nce(table)
            return sum_of_all

        return {"localisation": contrast(s_l), "alignment": contrast(s_a)}


class AudioCLIPFinetuned(Cosines):
    def losses(self) -> dict[str, Tensor]:
        sides = {
            "audio": self.ears,
            "image": [self.linear("project_image", v) for v in self.image],
        }
        if self.options.text:
            sides["text"] = [
                total(e for e, there in zip(self.text, row, strict=True) if there)
                for row in self.labels
            ]
        names = list(sides)
        pairs = [(a, b) for a in names for b in names[names.index(a) + 1 :]]
        result = {}
        for a, b in pairs:
            name = f"{a}_{b}"
            table = [
                [self.factor(f"scales.{name}", cosine(x, y)) for y in sides[b]] for x in sides[a]
            ]
            result[name] = info_nce(table) / math.factorial(len(pairs))
        return result


class Wav2CLIP(Cosines):
    variants: Mapping[str, list[tuple[bool, bool]]] = {
        "clip_loss": [(False, False)],
        "clip_loss_i": [(True, False)],
        "clip_loss_x": [(False, True), (True, False)],
    }

    def seen(self, x: Tensor, through: bool) -> Tensor:
        return self.layers("image_transform", x, 0, 3) if through else x

    def hear(self, x: Tensor, through: bool) -> Tensor:
        return self.layers("audio_transform", x, 0, 3) if through else x

    def losses(self) -> dict[str, Tensor]:
        result, pairs = {}, self.variants[self.options.variant]
        for place, (image, audio) in enumerate(pairs):
            scale = self.state["log_scales"][place].exp()
            table = [
                [
                    scale * cosine(self.hear(ear, audio), self.seen(picture, image))
                    for picture in self.image
                ]
                for ear in self.ears
            ]
            name = f"{'mlp_' if audio else ''}audio_{'mlp_' if image else ''}image"
            result[name] = info_nce(table) / 2 / len(pairs)
        return result

    def map(self, clip: int, label: int, alone: bool) -> Rows:
        image, audio = self.variants[self.options.variant][0]
        ear = self.hear(self.ears[clip], audio)
        return [cosine(self.seen(v, image), ear) for v in self.visual[clip]]


class OTS(Naive):
    def logits(self, picture: int, sound: int) -> Rows:
        ear = self.layers("project_audio", self.sound[sound])
        w, b = self.state["weight"], self.state["bias"]
        cells = [
            self.linear("project_image.1", self.linear("project_image.0", v))
            for v in self.visual[picture]
        ]
        return [w * torch.dot(v, ear) + b for v in cells]

    def losses(self) -> dict[str, Tensor]:
        own = [binary_cross_entropy(highest(self.logits(i, i)), True) for i in self.batch]
        others = [
            binary_cross_entropy(highest(self.logits(i, j)), False)
            for i, j in enumerate(self.partners)
        ]
        return {"correspondence": mean(own + others)}

    def map(self, clip: int, label: int, alone: bool) -> Rows:
        return [torch.sigmoid(x) for x in self.logits(clip, clip)]


class MixAndLocalize(Naive):
    """The two times of a mixture are the first and the last half of its cells."""

    def nodes(self, sound: Tensor) -> Rows:
        return [self.layers(f"project_nodes.{k}", sound) for k in range(self.options.nodes)]

    def losses(self) -> dict[str, Tensor]:
        half = max(1, len(self.audio[0]) // 2)
        times = [[mean(rows[:half]) for rows in self.audio], [mean(r[-half:]) for r in self.audio]]
        if self.panels > 1:
            pictures = [
                [[rows[p] for p in self.frame(panel)] for panel in range(self.panels)]
                for rows in self.visual
            ]
        else:
            size = min(self.options.nodes, len(self.batch))
            groups = range(len(self.batch) // size)
            pictures = [self.visual[g * size : (g + 1) * size] for g in groups]
            times = [[mean(time[g * size : (g + 1) * size]) for g in groups] for time in times]
        walks = [
            self.walk(frames, first, second)
            for frames, first, second in zip(pictures, *times, strict=True)
        ]
        return {"cycle": mean([step for walk in walks for step in walk])}

    def walk(self, frames: list[Rows], first: Tensor, second: Tensor) -> Rows:
        """-log of the chance to come back, for each node."""
        seen = [[self.layers("project_image", v) for v in frame] for frame in frames]

        def s(node: Tensor) -> Rows:
            best = [highest([cosine(v, node) for v in frame]) for frame in seen]
            return [x / self.options.temperature for x in best]

        ends, starts = (self.nodes(time)[: len(frames)] for time in (first, second))
        back = torch.stack([torch.stack(s(node)) for node in ends])  # (K, N)
        to_node = back.softmax(dim=0)
        losses = []
        for k, node in enumerate(starts):
            to_picture = torch.stack(s(node)).softmax(dim=0)
            losses.append(-torch.dot(to_picture, to_node[k]).log())
        return losses

    def unlabelled(self, clip: int) -> list[Rows]:
        seen = [self.layers("project_image", v) for v in self.visual[clip]]
        return [[cosine(v, node) for v in seen] for node in self.nodes(mean(self.audio[clip]))]


class DSOL(Naive):
    stage = 1

    def m(self, picture: int, sound: int) -> Rows:
        """The map of a sound in a picture before the sigmoid."""
        ear = self.layers("project_audio", self.sound[sound])
        cells = [self.layers("project_image", v) for v in self.visual[picture]]
        return [self.state["scale"] * cosine(v, ear) for v in cells]

    def objects(self, clip: int) -> list[Rows]:
        """O_k, class by class."""
        location = [torch.sigmoid(x) for x in self.m(clip, clip)]
        u, b = self.state["object_scale"], self.state["object_bias"]
        counts = self.state["object_counts"]
        return [
            [
                (u * torch.dot(f, self.state["object_sums"][k] / counts[k]) + b) * m
                for f, m in zip(self.visual[clip], location, strict=True)
            ]
            for k in self.classes
        ]

    def heard(self, clip: int) -> Tensor:
        logits = self.state["heard_weight"] @ self.sound[clip] + self.state["heard_bias"]
        return logits.softmax(dim=0).detach()

    def losses(self) -> dict[str, Tensor]:
        own = [binary_cross_entropy(highest(self.m(i, i)), True) for i in self.batch]
        if self.stage == 2:
            return self.second(own)
        other = [
            binary_cross_entropy(highest(self.m(partner, i)), False)
            for i, partner in enumerate(self.partners)
        ]

        def classify(name: str, rows: Rows) -> Tensor:
            terms = []
            for x, row in zip(rows, self.labels, strict=True):
                chances = self.linear(name, x).log_softmax(dim=0)
                true = [k for k in self.classes if row[k]]
                terms.append(-mean([chances[k] for k in true]))
            return mean(terms)

        return {
            "location": mean(own + other),
            "image_class": classify("classify_image", [mean(rows) for rows in self.visual]),
            "audio_class": classify("classify_audio", self.sound),
        }

    def second(self, own: Rows) -> dict[str, Tensor]:
        silent = []
        for i, partner in enumerate(self.partners):
            values = self.m(partner, i)
            for rows in windows(self.grid[0], 2):
                for columns in windows(self.grid[1], 2 * self.panels):
                    quarter = [values[r * self.grid[1] + c] for r in rows for c in columns]
                    silent.append(binary_cross_entropy(highest(quarter), False))
        terms = []
        for clip in self.batch:
            seen = torch.stack([mean(one) for one in self.objects(clip)]).log_softmax(dim=0)
            p = self.heard(clip)
            terms += list(p * (p.log() - seen))
        location = mean(own) + (mean(silent) if silent else 0.0)
        return {"category": mean(terms), "location": location / 4}

    def map(self, clip: int, label: int, alone: bool) -> Rows:
        if alone:
            return [torch.sigmoid(x) for x in self.m(clip, clip)]
        cells = zip(*self.objects(clip), strict=True)
        return [(3 * torch.stack(each)).softmax(dim=0)[label] for each in cells]

    def scores(self, clip: int) -> Rows:
        seen = self.linear("classify_image", mean(self.visual[clip])).softmax(dim=0)
        return list(self.heard(clip) * seen)


class CoarseToFine(Naive):
    stage = 1

    def vectors(self, rows: Rows, classify: str, project: str) -> Rows:
        """f_c of all classes."""
        found = []
        for weight in self.state[f"{classify}.weight"]:
            cam = [torch.dot(weight, f).clamp(min=0).detach() for f in rows]
            pooled = mean([c * f for c, f in zip(cam, rows, strict=True)])
            found.append(self.layers(project, pooled / (total(cam) + 1e-10)))
        return found

    def chances(self, clip: int) -> tuple[Tensor, Tensor]:
        return (
            torch.sigmoid(self.linear("classify_audio", mean(self.audio[clip]))),
            torch.sigmoid(self.linear("classify_image", mean(self.visual[clip]))),
        )

    def losses(self) -> dict[str, Tensor]:
        a, v = ([mean(rows) for rows in side] for side in (self.audio, self.visual))

        def classify(name: str, rows: Rows) -> Tensor:
            return mean(
                [
                    binary_cross_entropy(x, there)
                    for row, labels in zip(rows, self.labels, strict=True)
                    for x, there in zip(self.linear(name, row), labels, strict=True)
                ]
            )

        together, apart = [], []
        for i in self.batch:
            for j in self.batch:
                inner = self.linear("correspond", torch.cat([a[i], v[j]])).clamp(min=0)
                logits = list(self.linear("decide_pair", inner))
                (together if i == j else apart).append(cross_entropy(logits, int(i == j)))
        result = {
            "audio_class": classify("classify_audio", a),
            "image_class": classify("classify_image", v),
            "correspondence": mean(together) / 2 + (mean(apart) / 2 if apart else 0.0),
        }
        return result if self.stage == 1 else {**result, **self.distances()}

    def distances(self) -> dict[str, Tensor]:
        heard, seen = {}, {}
        for b in self.batch:
            p_a, p_v = self.chances(b)
            of_a = self.vectors(self.audio[b], "classify_audio", "project_audio")
            of_v = self.vectors(self.visual[b], "classify_image", "project_image")
            for c in self.classes:
                if p_a[c] > self.options.probability or self.labels[b][c]:
                    heard[b, c] = of_a[c]
                if p_v[c] > self.options.probability or self.labels[b][c]:
                    seen[b, c] = of_v[c]
        near, far = [], []
        for one, x in heard.items():
            for other, y in seen.items():
                square = 2 - 2 * cosine(x, y)
                if one == other:
                    near.append(square)
                else:
                    far.append((self.options.margin - square.sqrt()).clamp(min=0) ** 2)
        tiny = 1e-10 * (len(self.batch) * len(self.classes)) ** 2
        return {
            "near": total(near) / (len(near) + tiny),
            "far": total(far) / (len(far) + tiny),
        }

    def map(self, clip: int, label: int, alone: bool) -> Rows:
        vectors = self.vectors(self.audio[clip], "classify_audio", "project_audio")
        cells = [self.layers("project_image", v) for v in self.visual[clip]]
        each = [[cosine(f, v).clamp(min=0) for v in cells] for f in vectors]
        if not alone:
            return each[label]
        heard = self.chances(clip)[0]
        likeliest = int(heard.argmax())
        counted = [c for c in self.classes if heard[c] > self.options.probability or c == likeliest]
        weight = total(heard[c] for c in counted)
        return [total(heard[c] * each[c][p] for c in counted) / weight for p in range(len(cells))]

    def scores(self, clip: int) -> Rows:
        heard, seen = self.chances(clip)
        return list(heard * seen)


class AVGN(Naive):
    """One matrix for the rows of a clip, since attention mixes them all."""

    located: Sequence[int]

    def norm(self, name: str, x: Tensor) -> Tensor:
        centred = x - x.mean(dim=-1, keepdim=True)
        spread = (centred.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt()
        return centred / spread * self.state[f"{name}.weight"] + self.state[f"{name}.bias"]

    def rows(self, name: str, x: Tensor) -> Tensor:
        return x @ self.state[f"{name}.weight"].T + self.state[f"{name}.bias"]

    def mlp(self, name: str, x: Tensor) -> Tensor:
        inner = self.rows(f"{name}.0", x)
        return self.rows(f"{name}.2", inner * (1 + torch.erf(inner / math.sqrt(2))) / 2)

    def attend(self, name: str, x: Tensor, y: Tensor) -> Tensor:
        q, k, v = (self.rows(f"{name}.{p}", z) for p, z in (("query", x), ("key", y), ("value", y)))
        size = q.shape[1] // 8
        parts = [slice(h * size, (h + 1) * size) for h in range(8)]
        mixed = [(q[:, p] @ k[:, p].T / math.sqrt(size)).softmax(dim=1) @ v[:, p] for p in parts]
        return self.rows(f"{name}.join", torch.cat(mixed, dim=1))

    def group(self, name: str, features: Tensor) -> Tensor:
        x = torch.cat([features, self.state["class_tokens"]])
        for block in range(self.options.depth):
            at = f"{name}.blocks.{block}"
            normal = self.norm(f"{at}.norm_attention", x)
            x = x + self.attend(f"{at}.attention", normal, normal)
            x = x + self.mlp(f"{at}.mlp", self.norm(f"{at}.norm_mlp", x))
        features = self.norm(f"{name}.norm_features", x[: len(features)])
        tokens = self.norm(f"{name}.norm_tokens", x[len(features) :])
        tokens = self.norm(f"{name}.norm_mixed", self.mlp(f"{name}.mix_tokens", tokens.T).T)
        tokens = tokens + self.attend(f"{name}.ask.attention", tokens, features)
        tokens = tokens + self.mlp(f"{name}.ask.mlp", self.norm(f"{name}.ask.norm_mlp", tokens))
        tokens = self.norm(f"{name}.ask.norm", tokens)
        q, k, v = (
            self.rows(f"{name}.assign.{p}", z)
            for p, z in (("query", tokens), ("key", features), ("value", features))
        )
        shares = (q @ k.T / math.sqrt(q.shape[1])).softmax(dim=0)  # over the tokens
        shares = shares / (shares.sum(dim=1, keepdim=True) + 1)
        groups = tokens + self.rows(f"{name}.assign.join", shares @ v)
        return groups + self.mlp(f"{name}.mlp", self.norm(f"{name}.norm_groups", groups))

    def clip(self, clip: int) -> tuple[Rows, Tensor, Tensor]:
        """Unit cells, and the groups of picture and sound."""
        cells = [unit(self.linear("project_image", v)) for v in self.visual[clip]]
        pieces = [unit(self.linear("project_audio", a)) for a in self.audio[clip]]
        most, (height, width) = self.options.group_grid, self.grid
        wide = width // self.panels
        coarse = []
        for rows in windows(height, min(height, most)):
            for panel in range(self.panels):
                for columns in windows(wide, min(wide, most)):
                    places = [r * width + panel * wide + c for r in rows for c in columns]
                    coarse.append(mean([cells[p] for p in places]))
        return (
            cells,
            self.group("group_image", torch.stack(coarse)),
            self.group("group_audio", torch.stack(pieces)),
        )

    def guide(self, group: Tensor) -> Tensor:
        return unit(group) if self.options.normalise_groups else group

    def losses(self) -> dict[str, Tensor]:
        clips = [self.clip(clip) for clip in self.batch]
        guides = [self.guide(clips[j][2][self.located[j]]) for j in self.batch]
        table = [
            [
                highest([torch.dot(v, guide) for v in cells]) / self.options.temperature
                for guide in guides
            ]
            for cells, _, _ in clips
        ]
        names = [
            cross_entropy(list(self.linear("classify_token", token)), k)
            for k, token in enumerate(self.state["class_tokens"])
        ]
        presence = torch.zeros(())
        for place, side in ((1, "presence_image"), (2, "presence_audio")):
            each = [
                binary_cross_entropy(self.linear(side, group)[0], there)
                for clip, row in zip(clips, self.labels, strict=True)
                for group, there in zip(clip[place], row, strict=True)
            ]
            presence = presence + mean(each)
        if self.options.sum_presences:
            presence = presence * len(self.classes)
        return {"loc": info_nce(table), "tok": mean(names), "pred": presence}

    def map(self, clip: int, label: int, alone: bool) -> Rows:
        cells, _, audio = self.clip(clip)
        guide = self.guide(audio[label])
        return [torch.dot(v, guide) for v in cells]

    def scores(self, clip: int) -> Rows:
        _, image, audio = self.clip(clip)
        return [
            torch.sigmoid(self.linear("presence_image", v)[0])
            * torch.sigmoid(self.linear("presence_audio", a)[0])
            for v, a in zip(image, audio, strict=True)
        ]
