"""T-VSL: text-guided visual sound source localization (Mahmud, Tian & Marculescu, CVPR 2024).

A mixture of several sources is taken apart by the names of its classes: text conditions the tokens
of picture and sound, and the sound of each class then finds its own cells. In the paper's order:

    Sec. 3.2  V' = P_v(Ê_v(v)), A' = P_a(Ê_a(a)), Ŷ = sim(T, P_f([Mean(A') + Mean(V')]))
    Sec. 3.3  Ṽ_k = phi^v(V', e_k, V'), f̃_k^v = P_vc(Mean(Ṽ_k)), and likewise Ã_k and f̃_k^a
    Sec. 3.4  ĝ_k^a = P_av(Mean(Ã_k)), V̂_k = phi^av(Ṽ_k, ĝ_k^a, Ṽ_k), ĝ_k^v = P_va(Mean(V̂_k))
              L_total = L_av + L_cls + L_mcid,    H_k = s(ĝ_k^a, v̂_k^j)

`docs/how-tvsl-works.md` says what differs from the paper, and why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeVar, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import Self

from tvsl.encoder import PromptableTextEncoder
from tvsl.errors import UsageError
from tvsl.global_batch import batch_size, gather_rows, own_rows
from tvsl.methods.base import (
    Method,
    MethodConfig,
    Supervision,
    check_inputs,
    check_labels,
    spread_and_not,
    with_overrides,
)
from tvsl.methods.operations import (
    LogitScale,
    inverse_lengths,
    linear_projector,
    unit,
)
from tvsl.methods.tvsl.conditioning import condition_on_all, focused, similarity, weighted_mean
from tvsl.methods.tvsl.detection import EVIDENCE, evidence, fusion_similarity
from tvsl.methods.tvsl.inference import (
    READOUTS,
    log_normaliser,
    possible_readouts,
    responsibilities,
)
from tvsl.methods.tvsl.losses import class_loss, contrastive_loss, detection_loss, pooled_loss
from tvsl.methods.tvsl.modules import (
    FusionProjector,
    build_prompts,
    correspondence_weights,
    require_token_ids,
    sample_classes,
)
from tvsl.methods.tvsl.released import ReleasedConfig, ReleasedTVSL
from tvsl.tokens import Queries, Slots, Tokens, Vocabulary

Detector = Literal["evidence", "agreement", "decomposition", "fusion", "joint"]
Readout = Literal["cosine", "signed", "text", "evidence", "sum"]
TokenProjectors = Literal["identity", "slow", "trained"]

T = TypeVar("T")

_CHUNK = 256
_SLOW = 0.1
_FAST = 10.0


class TVSLConfig(MethodConfig):
    """Hyperparameters of the method as the paper describes it, beside those of every head.

    Where a stored head states none, it has the defaults; what we recommend is ``preset("tvsl")``.

    Attributes:
        token_projectors: P_a and P_v (Sec. 3.2): ``identity`` leaves the encoder's tokens alone,
            ``slow`` trains them at a tenth of the learning rate, ``trained`` at the full one.
        identity_start: Whether the linear projectors start as the identity.
        fusion_layers: P_f as printed (1), or with a hidden layer (2).
        detector: Scores of ``detect``: training-free ``evidence``, ``agreement`` or
            ``decomposition`` (``detection.py``), P_f, ``fusion``, or ``joint``: the mean of P_f and
            of the presences that L_cls with negatives asks for.
        detach_detection: Whether L_mcid leaves P_a and P_v alone.
        audio_conditioning: phi^a (Sec. 3.3, Table 3).
        image_conditioning: phi^v (Sec. 3.3, Table 3).
        class_projectors: P_vc and P_ac (Sec. 3.3). Without them what L_cls teaches goes into P_v
            and P_a, which inference uses.
        class_negatives: Whether L_cls asks of every class whether it is there, in place of asking
            of each true class which one it is: no printed loss tells a class from what is absent.
        class_focus: Sharpness of a softmax that weighs cells and pieces of sound in L_cls, in place
            of the bare cosines, which are so alike that the means of all classes are nearly one;
            0 as printed.
        class_weight: Factor of L_cls.
        correspondence: The correspondence block (Sec. 3.4, Table 3).
        correspondence_projectors: Which of P_av and P_va there are; the other one is the identity.
        correspondence_weight: Factor of L_av.
        pooled_weight: Factor of Eq. 1 on the means of tokens and the clip's names, which continues
            the encoder's own training through P_a and P_v.
        mask_same_class: Whether other pairs of a pair's class are left out of its negatives.
        stages: 2, or 1 for the one-stage variant (Table 7).
        prompt_length: Learned context vectors before the class name (Sec. 4.6, Table 6).
        prompt_classes: Most classes that a training step runs through the text encoder.
        readout: Readout of a map (``inference.py``).
        readout_exponent: Exponent of the ``evidence`` readout.
        query_anchor: Share that the untrained audio query has in a trained one at inference. What
            is trained on some classes drifts away from the others; half way back keeps most of what
            was learned (Wortsman et al., CVPR 2022, average weights to the same end).
        token_anchor: Share that the encoder's own tokens have in those of P_a and P_v at inference,
            for the same reason.
        responsibility: Sharpness with which tokens of the sound are shared out among the classes
            at inference (``inference.py``); with 0 each class takes of all. 10 was chosen on
            validation duets of the made-up world, where 5 to 20 are much the same
            (`benchmarks/constants.py`).
        printed_sums: Whether losses are summed over classes and sources as printed, in place of
            averaged.
    """

    token_projectors: TokenProjectors = "identity"
    identity_start: bool = True
    fusion_layers: Literal[1, 2] = 2
    detector: Detector = "evidence"
    detach_detection: bool = True
    audio_conditioning: bool = True
    image_conditioning: bool = True
    class_projectors: bool = True
    class_negatives: bool = False
    class_focus: float = Field(0.0, ge=0, le=1e4)
    class_weight: float = Field(1.0, ge=0, le=1e6)
    correspondence: bool = True
    correspondence_projectors: Literal["both", "audio", "visual"] = "both"
    correspondence_weight: float = Field(1.0, ge=0, le=1e6)
    pooled_weight: float = Field(0.0, ge=0, le=1e6)
    mask_same_class: bool = True
    stages: Literal[1, 2] = 2
    prompt_length: int = Field(0, ge=0, le=32)
    prompt_classes: int = Field(64, gt=1, le=1_000_000)
    readout: Readout = "evidence"
    readout_exponent: float = Field(0.5, gt=0, le=100)
    query_anchor: float = Field(0.5, ge=0, le=1)
    token_anchor: float = Field(0.0, ge=0, le=1)
    responsibility: float = Field(10.0, ge=0, le=1e6)
    printed_sums: bool = False

    @property
    def shares_audio(self) -> bool:
        """True where tokens of the sound are shared out among the classes."""
        return self.responsibility > 0 and self.audio_conditioning

    @property
    def asks_every_class(self) -> bool:
        """True where L_cls is the presence of every class."""
        if not (self.audio_conditioning or self.image_conditioning):
            return False
        return self.class_negatives or self.stages == 1

    @property
    def compares_classes(self) -> bool:
        """True where sounds are shared out or decomposed over the classes; see the base class."""
        return self.shares_audio or self.detector == "decomposition"


def check_config(config: TVSLConfig) -> None:
    """Refuse hyperparameters that do not go together.

    Raises:
        UsageError: One stage without any conditioning, or an anchor without the identity.
    """
    if config.stages == 1 and not (config.audio_conditioning or config.image_conditioning):
        raise UsageError(
            "The one-stage variant learns its classes in the conditioning blocks.",
            "Leave at least one of them on.",
        )
    for name in ("query_anchor", "token_anchor"):
        if getattr(config, name) > 0 and not config.identity_start:
            raise UsageError(
                "What a projector gives can be anchored only where it starts as the identity.",
                f"Set {name} to 0.",
            )


class TVSL(Method):
    """The T-VSL head.

    Args:
        config: Its hyperparameters.
        text_encoder: The frozen text encoder; needed only with learned prompts.

    Raises:
        UsageError: Prompts without a frozen text encoder, one stage without any conditioning, or
            an anchor without the identity.
    """

    name: ClassVar[str] = "tvsl"
    shares_batch: ClassVar[bool] = True
    config_type: ClassVar[type[TVSLConfig]] = TVSLConfig
    supervision: ClassVar[Supervision] = "video labels"
    class_aware: ClassVar[bool] = True
    works_untrained: ClassVar[bool] = True
    tunable: ClassVar[frozenset[str]] = Method.tunable | {
        "readout",
        "readout_exponent",
        "query_anchor",
        "token_anchor",
        "responsibility",
        "detector",
    }
    config: TVSLConfig

    def __init__(
        self,
        config: TVSLConfig = TVSLConfig(),  # noqa: B008  (frozen)
        text_encoder: PromptableTextEncoder | None = None,
    ) -> None:
        super().__init__(config)
        check_config(config)
        size, start = config.embedding, config.identity_start

        def projector(wanted: bool) -> nn.Module:
            return linear_projector(size, start) if wanted else nn.Identity()

        trained = config.token_projectors != "identity"
        # Only where a loss reaches them: what never gets a gradient would stay random.
        shared = (
            config.correspondence
            or config.pooled_weight > 0
            or (config.stages == 2 and not config.detach_detection)
        )
        self.project_audio = projector(trained and (shared or config.audio_conditioning))
        self.project_visual = projector(trained and (shared or config.image_conditioning))
        self.project_audio_class = projector(config.class_projectors and config.audio_conditioning)
        self.project_visual_class = projector(config.class_projectors and config.image_conditioning)
        sides = config.correspondence_projectors
        self.project_audio_correspondence = projector(config.correspondence and sides != "visual")
        self.project_visual_correspondence = projector(config.correspondence and sides != "audio")
        if config.stages == 2:
            self.fusion = FusionProjector(size, config.fusion_layers, start)
            self.detection_scale = LogitScale(10.0, bias=-3.0)
        if config.audio_conditioning or config.image_conditioning:
            self.class_scale = LogitScale(20.0, bias=-3.0 if config.asks_every_class else None)
        if config.correspondence:
            self.correspondence_scale = LogitScale(1 / 0.07)
        if config.pooled_weight > 0:
            self.pooled_scale = LogitScale(1 / 0.07)
        self.prompts = build_prompts(config.prompt_length, text_encoder)
        # Not a submodule: a head's checkpoint holds the head alone.
        object.__setattr__(self, "_text_encoder", text_encoder)
        self._prompted: tuple[Vocabulary, Tensor, Tensor] | None = None

    @classmethod
    def from_config(
        cls, config: MethodConfig, text_encoder: PromptableTextEncoder | None = None
    ) -> Self:
        """Build an untrained head; see the base class."""
        return cls(cast(TVSLConfig, config), text_encoder)

    def losses(self, tokens: Tokens, labels: Tensor, vocabulary: Vocabulary) -> dict[str, Tensor]:
        """L_mcid, L_cls and L_av; see the base class.

        Raises:
            ShapeError: Tokens, labels and vocabulary do not agree, or a clip has no label.
        """
        check_inputs(self.config.embedding, tokens, vocabulary)
        labels = check_labels(labels, tokens, vocabulary)
        classes, labels = self._training_classes(vocabulary, gather_rows(labels))
        labels = own_rows(labels)
        visual, audio = self._projected(tokens)
        queries = Queries.from_labels(labels)
        slots = queries.slots(tokens.batch)
        query, printed = classes[queries.label], self.config.printed_sums
        lengths = inverse_lengths(visual), inverse_lengths(audio)
        image_weights = self._image_weights(visual, query, slots, lengths[0])
        audio_weights = self._audio_weights(audio, query, slots, lengths[1])
        losses = {}
        if self.config.stages == 2:
            logits = self._detection_logits(visual, audio, classes)
            losses["mcid"] = detection_loss(gather_rows(logits), gather_rows(labels), printed)
        if self.config.asks_every_class:
            presences = self._presences(visual, audio, classes, lengths)
            whole = gather_rows(labels)
            each = [detection_loss(gather_rows(x), whole, printed) for x in presences]
            losses["cls"] = self.config.class_weight * torch.stack(each).sum()
        elif self.config.audio_conditioning or self.config.image_conditioning:
            sides = self._class_sides((visual, image_weights), (audio, audio_weights))
            found = self._class_loss(sides, classes, queries, slots)
            losses["cls"] = self.config.class_weight * found
        if self.config.correspondence:
            guide = self.project_audio_correspondence(weighted_mean(audio, audio_weights, slots))
            weights = correspondence_weights(
                image_weights, similarity(visual, guide, slots, lengths[0])
            )
            found = self._correspondence_loss(visual, weights, guide, queries, slots)
            losses["av"] = self.config.correspondence_weight * found
        if self.config.pooled_weight > 0:
            image, sound = (gather_rows(unit(side.mean(dim=1))) for side in (visual, audio))
            found = pooled_loss(self.pooled_scale, image, sound, classes, gather_rows(labels))
            losses["pooled"] = self.config.pooled_weight * found
        return losses

    def maps(self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary) -> Tensor:
        """Maps by the configured readout; see the base class.

        Raises:
            ShapeError: Tokens, queries and vocabulary do not agree.
        """
        return self._read(*self.similarities(tokens, queries, vocabulary), tokens)

    def reader(
        self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary
    ) -> Callable[[], Tensor]:
        """Maps by the readout that is set, from the same similarities; see the base class."""
        similarities = self.similarities(tokens, queries, vocabulary)
        return lambda: self._read(*similarities, tokens)

    def _read(self, text: Tensor, audio: Tensor, tokens: Tokens) -> Tensor:
        """Maps by the configured readout, (P, h, w), from s and c."""
        readout = self.config.readout
        if readout == "evidence" and not self.config.image_conditioning:
            readout = "signed"  # without image conditioning the text has no say in the picture
        flat = READOUTS[readout](text, audio, self.config.readout_exponent)
        return flat.view(-1, *tokens.grid)

    def similarities(
        self, tokens: Tokens, queries: Queries, vocabulary: Vocabulary
    ) -> tuple[Tensor, Tensor]:
        """Similarities that every readout is made of.

        Args:
            tokens: B clips.
            queries: P pairs.
            vocabulary: N classes.

        Returns:
            s = cos(v_j, e_k) and c = cos(v_j, ĝ_k^a), each (P, n_v).

        Raises:
            ShapeError: Tokens, queries and vocabulary do not agree.
        """
        check_inputs(self.config.embedding, tokens, vocabulary)
        queries.check(tokens.batch, len(vocabulary))
        classes = self._classes(vocabulary)
        visual, audio = self._anchored(tokens)
        shape = (queries.label.shape[0], visual.shape[1])
        text_maps, audio_maps = visual.new_empty(shape), visual.new_empty(shape)
        normaliser = None
        if self.config.shares_audio:
            normaliser = log_normaliser(audio, visual, classes, self.config.responsibility)
        # Whole chunks at once: beside the maps, memory does not grow with the number of queries.
        for chunk in queries.chunks(_CHUNK):
            seen, heard = visual[chunk.clips], audio[chunk.clips]
            slots = chunk.queries.slots(chunk.clips.shape[0])
            query = classes[chunk.queries.label]
            mine = None if normaliser is None else normaliser[chunk.clips]
            weights = self._audio_weights(heard, query, slots, normaliser=mine)
            guide = self._audio_query(weighted_mean(heard, weights, slots))
            text_maps[chunk.positions] = similarity(seen, query, slots).to(visual.dtype)
            audio_maps[chunk.positions] = similarity(seen, guide, slots).to(visual.dtype)
        return text_maps, audio_maps

    def detect(self, tokens: Tokens, vocabulary: Vocabulary) -> Tensor:
        """Scores: probabilities where they are trained, else sums of cosines; see the base class.

        Raises:
            ShapeError: Tokens and vocabulary do not agree.
        """
        check_inputs(self.config.embedding, tokens, vocabulary)
        classes = self._classes(vocabulary)
        visual, audio = self._anchored(tokens)
        if self.config.detector in EVIDENCE:
            found = evidence(audio, visual, classes)
            return EVIDENCE[self.config.detector](*found, classes)
        logits = []
        if self.config.stages == 2:
            logits.append(self._detection_logits(visual, audio, classes))
        if self.config.stages == 1 or self.config.detector == "joint":
            logits += self._presences(visual, audio, classes)
        return torch.stack(logits).sigmoid().mean(dim=0)

    def detect_by(
        self, tokens: Tokens, vocabulary: Vocabulary, detectors: Sequence[Mapping[str, Any]]
    ) -> list[Tensor | None]:
        """Scores of several detectors, untrained ones by one evidence; see the base class."""
        found: list[Tensor | None] = []
        classes, sides = self._classes(vocabulary), None
        for hyperparameters in detectors:
            self.set_tuned(**hyperparameters)
            if self.config.detector in EVIDENCE:
                sides = sides or self.evidence(tokens, vocabulary)
                found.append(EVIDENCE[self.config.detector](*sides, classes))
            else:
                found.append(self.detect(tokens, vocabulary))
        return found

    def evidence(self, tokens: Tokens, vocabulary: Vocabulary) -> tuple[Tensor, Tensor]:
        """Evidence on projected tokens, each (B, N); see the base class."""
        visual, audio = self._anchored(tokens)
        return evidence(audio, visual, self._classes(vocabulary))

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """Groups of parameters for an optimiser, some at a rate of their own.

        P_a and P_v learn at a tenth of the rate when ``slow``. P_f learns at ten times the rate
        where L_mcid reaches nothing but it: what is gentle for projectors that start at the
        identity is too little for a detector that has to be learned.
        """
        config, factors = self.config, dict[nn.Module, float]()
        if config.token_projectors == "slow":
            factors |= {self.project_audio: _SLOW, self.project_visual: _SLOW}
        if config.stages == 2 and config.detach_detection:
            factors |= {self.fusion: _FAST, self.detection_scale: _FAST}
        own = {id(p): factor for part, factor in factors.items() for p in part.parameters()}
        groups: dict[float, list[nn.Parameter]] = {1.0: []}
        for parameter in self.parameters():
            groups.setdefault(own.get(id(parameter), 1.0), []).append(parameter)
        return [{"params": p, "lr": learning_rate * factor} for factor, p in groups.items() if p]

    def readouts(self) -> list[dict[str, Any]]:
        """All readouts, spread and not; without phi^v those in which the text has no say."""
        names = possible_readouts(self.config.image_conditioning)
        return spread_and_not([{"readout": name} for name in names])

    def detectors(self) -> list[dict[str, Any]]:
        """Those without training, P_f or its one-stage stand-in, and where it exists ``joint``."""
        names = [*EVIDENCE, "fusion"]
        if self.config.stages == 2 and self.config.asks_every_class:
            names.append("joint")
        return [{"detector": name} for name in names]

    def _projected(self, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """V' = P_v(...), A' = P_a(...) (Sec. 3.2)."""
        return self.project_visual(tokens.visual), self.project_audio(tokens.audio)

    def _anchored(self, tokens: Tokens) -> tuple[Tensor, Tensor]:
        """V' and A' at inference, drawn back to the encoder's own tokens."""
        visual, audio = self._projected(tokens)
        share = self.config.token_anchor
        if share == 0:
            return visual, audio
        return torch.lerp(visual, tokens.visual, share), torch.lerp(audio, tokens.audio, share)

    def _image_weights(
        self, visual: Tensor, query: Tensor, slots: Slots, lengths: Tensor
    ) -> Tensor:
        """s_kj = cos(v_j, e_k), (P, n_v); ones without phi^v."""
        if not self.config.image_conditioning:
            return visual.new_ones(len(query), visual.shape[1])
        return similarity(visual, query, slots, lengths)

    def _audio_weights(
        self,
        audio: Tensor,
        query: Tensor,
        slots: Slots,
        lengths: Tensor | None = None,
        normaliser: Tensor | None = None,
    ) -> Tensor:
        """cos(a_j, e_k), (P, n_a); ones without phi^a; with a normaliser, tokens are shared out."""
        if not self.config.audio_conditioning:
            return audio.new_ones(len(query), audio.shape[1])
        weights = similarity(audio, query, slots, lengths)
        if normaliser is None:
            return weights
        return weights * responsibilities(weights, normaliser, slots, self.config.responsibility)

    def _audio_query(self, mean: Tensor) -> Tensor:
        """ĝ_k^a = P_av(g_k^a) (Sec. 3.4), (P, D), drawn back to where it started from."""
        trained: Tensor = self.project_audio_correspondence(mean)
        return torch.lerp(trained, mean, self.config.query_anchor)

    def _detection_logits(self, visual: Tensor, audio: Tensor, classes: Tensor) -> Tensor:
        """Ŷ = sim(T, F_av) (Sec. 3.2), scaled, (B, N)."""
        means = torch.cat([audio.mean(dim=1), visual.mean(dim=1)], dim=-1)
        if self.config.detach_detection:
            means = means.detach()
        logits: Tensor = self.detection_scale(fusion_similarity(self.fusion(means), classes))
        return logits

    def _class_sides(self, visual: T, audio: T) -> list[tuple[T, nn.Module]]:
        """Pairs of what belongs to a conditioned modality and its projector of L_cls."""
        sides = (
            (self.config.image_conditioning, visual, self.project_visual_class),
            (self.config.audio_conditioning, audio, self.project_audio_class),
        )
        return [(side, project) for wanted, side, project in sides if wanted]

    def _class_loss(
        self,
        sides: list[tuple[tuple[Tensor, Tensor], nn.Module]],
        classes: Tensor,
        queries: Queries,
        slots: Slots,
    ) -> Tensor:
        """L_cls (Sec. 3.3) over the conditioned modalities, each of tokens and their weights."""
        label, losses = gather_rows(queries.label), []
        for (tokens, weights), project in sides:
            mean = weighted_mean(tokens, focused(weights, self.config.class_focus), slots)
            logits = gather_rows(self.class_scale(unit(project(mean)) @ classes.T))
            size = batch_size(len(tokens))
            losses.append(class_loss(logits, label, size, self.config.printed_sums))
        return torch.stack(losses).sum()

    def _presences(
        self,
        visual: Tensor,
        audio: Tensor,
        classes: Tensor,
        lengths: tuple[Tensor, Tensor] | tuple[None, None] = (None, None),
    ) -> list[Tensor]:
        """Presence of every class in each conditioned modality, logits (B, N) (Table 7)."""
        focus, logits = self.config.class_focus, []
        sides = self._class_sides((visual, lengths[0]), (audio, lengths[1]))
        for (side, length), project in sides:
            # Not torch's cosine: of what has no direction its gradients are enormous.
            features = unit(project(condition_on_all(side, classes, focus, length)))
            logits.append(self.class_scale((features * classes).sum(dim=-1)))
        return logits

    def _correspondence_loss(
        self, visual: Tensor, weights: Tensor, guide: Tensor, queries: Queries, slots: Slots
    ) -> Tensor:
        """L_av = L_cnt(ĝ^v, ĝ^a) of the weights of V̂_k and of ĝ_k^a (Sec. 3.4)."""
        found = self.project_visual_correspondence(weighted_mean(visual, weights, slots))
        rows, columns = gather_rows(unit(found)), gather_rows(unit(guide))
        logits = self.correspondence_scale(rows @ columns.T)
        return contrastive_loss(logits, gather_rows(queries.label), self.config.mask_same_class)

    def _training_classes(self, vocabulary: Vocabulary, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Text embeddings and the labels that go with them; a subset with learned prompts."""
        if self.prompts is None:
            return vocabulary.embeddings, labels
        chosen = sample_classes(labels, self.config.prompt_classes)
        token_ids = require_token_ids(vocabulary)[chosen]
        return self.prompts(self._text_encoder, token_ids), labels[:, chosen]

    def _classes(self, vocabulary: Vocabulary) -> Tensor:
        """Text embeddings for inference, (N, D); with prompts computed once and kept."""
        if self.prompts is None:
            return vocabulary.embeddings
        context, kept = self.prompts.context, self._prompted
        if kept is None or kept[0] is not vocabulary or not torch.equal(kept[1], context):
            # No inference tensors are kept: a later map may be differentiated.
            with torch.inference_mode(False), torch.no_grad():
                embedded = self.prompts(self._text_encoder, require_token_ids(vocabulary))
            kept = self._prompted = (vocabulary, context.detach().clone(), embedded)
        return kept[2]


PRESETS: dict[str, TVSLConfig | ReleasedConfig] = {
    "tvsl": TVSLConfig(
        token_projectors="trained",
        detach_detection=False,
        class_negatives=True,
        class_focus=30.0,
        correspondence_weight=0.1,
    ),
    "paper": TVSLConfig(
        token_projectors="trained",
        identity_start=False,
        fusion_layers=1,
        detector="fusion",
        detach_detection=False,
        mask_same_class=False,
        readout="cosine",
        query_anchor=0.0,
        responsibility=0.0,
        printed_sums=True,
    ),
    "released": ReleasedConfig(),
}


def preset(name: str, **hyperparameters: Any) -> TVSLConfig | ReleasedConfig:
    """Look up a preset.

    Args:
        name: ``tvsl``, our best; ``paper``, every equation as printed; ``released``, the public
            code, bug for bug where it shapes numbers.
        hyperparameters: Overrides of its hyperparameters.

    Raises:
        UsageError: There is no such preset or hyperparameter, or a value that it cannot have.
    """
    if name not in PRESETS:
        raise UsageError(f"There is no preset '{name}'.", f"Presets: {', '.join(PRESETS)}.")
    return with_overrides(PRESETS[name], **hyperparameters)


def method_of(config: TVSLConfig | ReleasedConfig) -> type[Method]:
    """Method that a config is for."""
    return ReleasedTVSL if isinstance(config, ReleasedConfig) else TVSL
