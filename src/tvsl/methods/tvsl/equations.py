"""Equations of T-VSL in the paper's order: Sec. 3.2 to 3.4, and the learned prompts of Sec. 4.6.

Beside them stand what the paper lacks: detectors without training (Sec. 3.2), readouts that keep
the text's say, and tokens of the sound that are shared out among the classes (Sec. 3.4).
`docs/how-tvsl-works.md` and `tvsl reproduce improvements` say what they are worth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tvsl.contrastive import symmetric_info_nce
from tvsl.encoder import PromptableTextEncoder
from tvsl.errors import UsageError, VocabularyError
from tvsl.methods.operations import LogitScale, cosines, inverse_lengths, unit
from tvsl.tokens import Slots, Vocabulary
from tvsl.utils.devices import normal

RIDGE = 0.1
"""rho: names that are almost alike share the weight between them."""

SEEN_SHARE = 0.5
"""lambda. Both were chosen on validation scenes of the made-up world; half or double of either
moves the detection of duets by less than half a point (`benchmarks/constants.py`)."""

EVIDENCE_PERCENT = 3
"""Share of the cells that tell whether a class is seen."""

DECOMPOSITION_SHARE = 1.5

_DIGITS = 3
_stated: ContextVar[Tensor | None] = ContextVar("largest eigenvalue", default=None)

HIDDEN_FACTOR = 2
"""Width of the hidden layer of P_f, in sizes of the space."""

_FLOOR = 1e-3  # weight of a class that the decomposition leaves out


class FusionProjector(nn.Module):
    """P_f: F_av = P_f([Mean(A') + Mean(V')]), + for concatenation, 2D -> D (Sec. 3.2).

    Args:
        size: D.
        layers: 1 as printed, 2 with a hidden GELU layer.
        identity_start: Whether it starts as the mean of both halves.
    """

    def __init__(self, size: int, layers: int, identity_start: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * size, size)
        self.hidden: nn.Sequential | None = None
        if layers == 2:
            wide = HIDDEN_FACTOR * size
            self.hidden = nn.Sequential(nn.Linear(2 * size, wide), nn.GELU(), nn.Linear(wide, size))
        if identity_start and not self.linear.weight.is_meta:
            half = torch.eye(size) / 2
            with torch.no_grad():
                self.linear.weight.copy_(torch.cat([half, half], dim=1))
                self.linear.bias.zero_()
                if self.hidden is not None:
                    # Almost, not quite zero: zero would keep gradients from the first layer.
                    for parameter in self.hidden[-1].parameters():
                        parameter.mul_(0.01)

    def forward(self, means: Tensor) -> Tensor:
        """Concatenated means (B, 2D) to mixture features (B, D)."""
        fused: Tensor = self.linear(means)
        return fused if self.hidden is None else fused + self.hidden(means)


def fusion_similarity(fused: Tensor, classes: Tensor) -> Tensor:
    """Similarities Ŷ = sim(T, F_av) (Sec. 3.2): cosines, (B, N).

    Args:
        fused: F_av = P_f([Mean(A') + Mean(V')]), (B, D).
        classes: Unit text embeddings T, (N, D).
    """
    return unit(fused) @ classes.T


def evidence(audio: Tensor, visual: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Scores of each class in the whole sound and in the best few cells, without any training.

    Args:
        audio: A', (B, n_a, D).
        visual: V', (B, n_v, D).
        classes: Unit text embeddings, (N, D).

    Returns:
        cos(Mean(A'), e) and the mean of the highest 3 % of cos(v_j, e), each (B, N).
    """
    heard = unit(audio.mean(dim=1)) @ classes.T
    cells = cosines(visual, classes)
    few = (EVIDENCE_PERCENT * visual.shape[1] + 99) // 100
    return heard, cells.topk(few, dim=1).values.mean(dim=1)


def evidence_sum(heard: Tensor, seen: Tensor, classes: Tensor) -> Tensor:  # noqa: ARG001
    """Sum of both scores, (B, N): a class that is heard clearly may hardly be seen.

    Args:
        heard: Scores in the sound, (B, N).
        seen: Scores in the picture, (B, N).
        classes: Unit text embeddings, (N, D); not used.
    """
    return heard + seen


def agreement(heard: Tensor, seen: Tensor, classes: Tensor) -> Tensor:  # noqa: ARG001
    """Sum less half of the difference, (B, N); see ``evidence_sum`` for the arguments.

    Of an unseen class the neighbours that training knew are heard or seen more clearly, but
    seldom both. `tvsl reproduce improvements` compares the detectors.
    """
    return heard + seen - (heard - seen).abs() / 2


def decomposition(heard: Tensor, seen: Tensor, classes: Tensor) -> Tensor:
    """Agreement plus 3/2 of the class's weight in the sound, (B, N); see ``evidence_sum``.

    A class that only resembles two others which sound has no weight.
    """
    agreed = agreement(heard, seen, classes)
    return agreed + DECOMPOSITION_SHARE * decompose(heard, seen, classes)


EVIDENCE = {
    "evidence": evidence_sum,
    "agreement": agreement,
    "decomposition": decomposition,
}
"""Detectors without training: each takes the two (B, N) of ``evidence`` and the unit text
embeddings (N, D), and gives scores (B, N)."""


def decompose(heard: Tensor, seen: Tensor, classes: Tensor) -> Tensor:
    """Weights w of the classes in a mixture, by Nesterov's projected gradient; not in the paper.

    The sum of two sounds is close to the names of both, and nearly as close to the name of a third
    class that shares something with each; one by one, cosines cannot tell it from them. Together
    they can: what two names explain needs no third. So the sound is written as a sum of all names
    with weights of 0 or more, of which most become 0,

        argmin_{w >= 0} ½ ‖mean(A') / ‖mean(A')‖ − Σ_n w_n e_n‖² + rho/2 ‖w‖² − lambda Σ_n w_n p_n,

    where p_n, how clearly a class is seen beyond the average class, says which of two explanations
    of a sound is likelier. Bhalla et al. (SpLiCE, NeurIPS 2024) decompose CLIP's embeddings in this
    way to explain them; here it decides which classes sound.

    Args:
        heard: cos(mean(A'), e_n), (B, N).
        seen: Score of each class in the picture, (B, N).
        classes: Unit text embeddings e_n, (N, D).

    Returns:
        w of 0 or more, (B, N), to about three digits.
    """
    names = classes.to(heard.dtype)
    prior = seen - seen.mean(dim=1, keepdim=True)
    target = heard + SEEN_SHARE * prior
    stated = _stated.get()
    if stated is not None:
        return _decompose_traced(target, names, stated + RIDGE)
    product, steepest = _likeness(names)
    steepest += RIDGE
    condition = math.sqrt(steepest / RIDGE)
    momentum = (condition - 1) / (condition + 1)
    weights = ahead = torch.zeros_like(target)
    for _ in range(math.ceil(condition * _DIGITS * math.log(10))):
        slope = product(ahead) + RIDGE * ahead - target
        following = (ahead - slope / steepest).clamp_min(0)
        ahead = following + momentum * (following - weights)
        weights = following
    return weights


@contextmanager
def stated_eigenvalue(value: Tensor) -> Iterator[None]:
    """Let ``decompose`` take the largest eigenvalue of the names' cosines from its caller.

    A graph cannot compute it: ONNX knows no eigenvalues.
    """
    token = _stated.set(value)
    try:
        yield
    finally:
        _stated.reset(token)


def largest_eigenvalue(classes: Tensor) -> float:
    """Largest eigenvalue of the cosines of some names, (N, D)."""
    return _likeness(classes.float())[1]


def _decompose_traced(target: Tensor, names: Tensor, steepest: Tensor) -> Tensor:
    """``decompose`` as a loop of a graph, whose number of steps depends on the names."""
    condition = (steepest / RIDGE).sqrt()
    momentum = (condition - 1) / (condition + 1)
    last = (condition * (_DIGITS * math.log(10))).ceil().long()

    def goes_on(step: Tensor, weights: Tensor, ahead: Tensor) -> Tensor:  # noqa: ARG001
        return step < last

    def advance(step: Tensor, weights: Tensor, ahead: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        slope = F.linear(ahead @ names, names) + RIDGE * ahead - target
        following = (ahead - slope / steepest).clamp_min(0)
        return step + 1, following, following + momentum * (following - weights)

    start = torch.zeros((), dtype=torch.int64), torch.zeros_like(target), torch.zeros_like(target)
    weights: Tensor = torch.while_loop(goes_on, advance, start)[1]
    return weights


def _likeness(names: Tensor) -> tuple[Callable[[Tensor], Tensor], float]:
    """Product of rows (B, N) with the names' cosines, and the largest eigenvalue of these.

    The smaller of N and D decides the order: neither time nor memory grows with N squared.
    """
    few = len(names) <= names.shape[1]
    gram = names @ names.T if few else names.T @ names
    largest = float(torch.linalg.eigvalsh(gram.float())[-1])
    if few:
        return lambda rows: rows @ gram, largest
    return lambda rows: (rows @ names) @ names.T, largest


def to_table(rows: Tensor, slots: Slots, batch: int) -> Tensor:
    """Lay rows out in a table with one row per clip.

    Args:
        rows: (P, D).
        slots: The place of each row in the table.
        batch: B.

    Returns:
        (B, width, D); empty places are zero.
    """
    table = rows.new_zeros(batch, slots.width, rows.shape[-1])
    return table.index_put((slots.clip, slots.slot), rows)


def from_table(table: Tensor, slots: Slots) -> Tensor:
    """Take the rows back out of a table, the inverse of ``to_table``: (P, ...).

    Args:
        table: (B, width, ...).
        slots: The place of each row in the table.
    """
    return table[slots.clip, slots.slot]


def similarity(
    tokens: Tensor, queries: Tensor, slots: Slots, lengths: Tensor | None = None
) -> Tensor:
    """Weights of phi: the cosine of every token with the queries of its clip (Sec. 3.3).

    phi(A, B, C) = (A B^T / |A||B|) * C weights each token with its cosine to a query. The weighted
    tokens Ṽ_k = phi^v(V', e_k, V') and Ã_k = phi^a(A', e_k, A') are needed only through their means
    and cosines: the weights (P, n) are kept, not K copies of the tokens.

    Args:
        tokens: V' or A', (B, n, D).
        queries: One vector per pair, (P, D).
        slots: The place of each pair in a table.
        lengths: ``inverse_lengths`` of the tokens, (B, n), where several similarities share them:
            their gradient is as large as the tokens.

    Returns:
        s_kj = cos(token j, query k), (P, n).
    """
    table = to_table(unit(queries), slots, tokens.shape[0])
    products = torch.bmm(table, tokens.transpose(1, 2))
    lengths = inverse_lengths(tokens) if lengths is None else lengths
    # Scaling the products spares a normalised copy of the tokens.
    return from_table(products * lengths[:, None, :], slots)


def weighted_mean(tokens: Tensor, weights: Tensor, slots: Slots) -> Tensor:
    """Mean of the weighted tokens, f_k = Mean(phi(V', e_k, V')) (Sec. 3.3).

    Args:
        tokens: V' or A', (B, n, D).
        weights: One weight per pair and token, (P, n).
        slots: The place of each pair in a table.

    Returns:
        (1/n) sum_j w_kj v_j, (P, D).
    """
    table = to_table(weights, slots, tokens.shape[0])
    return from_table(torch.bmm(table, tokens), slots) / tokens.shape[1]


def focused(weights: Tensor, focus: float) -> Tensor:
    """Weights that prefer the tokens with the largest cosines; no part of the paper.

    Args:
        weights: Cosines, (..., n).
        focus: Sharpness of a softmax over the tokens; with 0 the weights stay the cosines.

    Returns:
        Weights with a mean of 1 over the tokens, (..., n).
    """
    if focus == 0:
        return weights
    return (focus * weights).softmax(dim=-1) * weights.shape[-1]


def condition_on_all(tokens: Tensor, classes: Tensor, focus: float = 0.0) -> Tensor:
    """Condition every clip on every class in two products (the one-stage variant, Table 7).

    Args:
        tokens: V' or A', (B, n, D).
        classes: Unit text embeddings, (N, D).
        focus: As for ``focused``.

    Returns:
        f_k for all N classes, (B, N, D).
    """
    weights = focused(cosines(tokens, classes).transpose(1, 2), focus)
    return weights @ tokens / tokens.shape[1]


def correspondence_weights(visual_similarity: Tensor, audio_similarity: Tensor) -> Tensor:
    """Weights of V' in V̂_k = phi^av(Ṽ_k, ĝ_k^a, Ṽ_k) (Sec. 3.4).

    With Ṽ_k = s_kj v_j it is |s_kj| cos(v_j, ĝ_k^a) v_j: again one weight per token, so that
    g_k^v = Mean(V̂_k) is a weighted mean of V' and no copy of the tokens is made.

    Args:
        visual_similarity: s_kj = cos(v_j, e_k), (P, n_v); ones without image conditioning.
        audio_similarity: c_kj = cos(v_j, ĝ_k^a), (P, n_v).

    Returns:
        |s_kj| c_kj, (P, n_v).
    """
    return visual_similarity.abs() * audio_similarity


def detection_loss(logits: Tensor, labels: Tensor, printed_sum: bool) -> Tensor:
    """L_mcid: binary cross-entropy over all classes (Sec. 3.2).

    Args:
        logits: (B, N).
        labels: (B, N) bool.
        printed_sum: Sum over the classes as printed, in place of the mean; always the mean over
            the clips.
    """
    loss = F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
    return loss * logits.shape[1] if printed_sum else loss


def class_loss(logits: Tensor, label: Tensor, batch: int, printed_sum: bool) -> Tensor:
    """L_cls of one modality: cross-entropy of sim(T, f̃_k) against the class k (Sec. 3.3).

    Args:
        logits: (P, N).
        label: The class that each pair was conditioned on, (P,).
        batch: B, the number of clips.
        printed_sum: Sum over a clip's sources as printed, then the mean over the clips, in place
            of the mean over all pairs.
    """
    loss = F.cross_entropy(logits, label)
    return loss * (len(label) / batch) if printed_sum else loss


def pooled_loss(
    scale: LogitScale, image: Tensor, audio: Tensor, classes: Tensor, labels: Tensor
) -> Tensor:
    """Eq. 1 on pooled features: picture, sound and names, every pair of them (Sec. 3.1).

    Args:
        scale: The learned scale of cosines.
        image: Unit vectors, (B, D).
        audio: Unit vectors, (B, D).
        classes: Unit embeddings of all names, (N, D).
        labels: The names that belong to each clip, (B, N) bool.
    """
    pairs = ((image, classes, labels), (audio, classes, labels), (audio, image, None))
    losses = [symmetric_info_nce(scale(x @ y.T), "sum", match) for x, y, match in pairs]
    return torch.stack(losses).sum()


def contrastive_loss(logits: Tensor, label: Tensor, mask_same_class: bool) -> Tensor:
    """L_av = L_cnt(ĝ^v, ĝ^a): symmetric InfoNCE; a pair's positive is itself alone (Sec. 3.4).

    Other pairs of the same class are never positives: that would teach P_av to forget which
    instance sounds.

    Args:
        logits: Scaled cosines of ĝ^v (rows) and ĝ^a (columns), (P, P).
        label: The class of each pair, (P,).
        mask_same_class: Whether other pairs of the same class are left out of the negatives.

    Returns:
        The mean of both directions, scalar.
    """
    if mask_same_class:
        same = label[:, None] == label[None, :]
        same.fill_diagonal_(False)
        logits = logits.masked_fill(same, -torch.inf)
    return symmetric_info_nce(logits, "mean")


def _evidence(text: Tensor, audio: Tensor, exponent: float) -> Tensor:
    """Text and sound must both agree; the best compromise where no cell has both positive."""
    agreement = (text.relu() * audio.relu()) ** exponent
    nothing = agreement.amax(dim=-1, keepdim=True) <= 0
    return torch.where(nothing, torch.minimum(text, audio), agreement)


READOUTS: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "cosine": lambda text, audio, exponent: audio.abs(),  # noqa: ARG005
    "signed": lambda text, audio, exponent: audio,  # noqa: ARG005
    "text": lambda text, audio, exponent: text,  # noqa: ARG005
    "evidence": _evidence,
    "sum": lambda text, audio, exponent: text + audio,  # noqa: ARG005
}
"""Readouts of a map (Sec. 3.4). Read literally, it is s(ĝ_k^a, v̂_k^j). But v̂_k^j is v_j times
scalars, and a cosine ignores scalars up to sign: what remains is |cos(v_j, ĝ_k^a)|. The text has no
say in it, and cells that are anti-correlated with the sound light up. The other readouts keep what
the conditioning found.

Each takes s = cos(v_j, e_k) (P, n_v), c = cos(v_j, ĝ_k^a) (P, n_v) and an exponent, and gives
a map (P, n_v): ``cosine`` |c|, the paper literally; ``signed`` c; ``text`` s, what the class name
alone finds; ``evidence`` (relu(s) relu(c))^exponent, or the smaller of s and c where it is 0 in all
cells; ``sum`` s + c."""

_WITHOUT_TEXT = ("cosine", "signed")


def possible_readouts(image_conditioning: bool) -> tuple[str, ...]:
    """Names of the readouts of a head; without phi^v the text has no say in the picture."""
    return tuple(READOUTS) if image_conditioning else _WITHOUT_TEXT


def log_normaliser(audio: Tensor, visual: Tensor, classes: Tensor, sharpness: float) -> Tensor:
    """Logarithm of the sum that responsibilities are divided by; no part of the paper.

    phi^a weights a token with its cosine to one class name and knows nothing of the others, so that
    Mean(Ã_k) keeps much of what else sounds: cosines with all names are alike. In a mixture model a
    token would belong to each class by its responsibility, a softmax over all classes n of

        beta cos(a_j, e_n) + log w_n,

    w being the decomposition of the whole sound. By it phi^a's weight is multiplied. Of one class
    alone, or of cosines that are all alike, nothing changes.

    Args:
        audio: A', (B, n_a, D).
        visual: V', (B, n_v, D).
        classes: Unit text embeddings e_n of the vocabulary, (N, D).
        sharpness: beta.

    Returns:
        log sum_n w_n exp(beta cos(a_j, e_n)), (B, n_a); a class without weight has a little.
    """
    prior = decompose(*evidence(audio, visual, classes), classes) + _FLOOR
    likeness = cosines(audio, classes)
    return torch.logsumexp(sharpness * likeness + prior.log()[:, None], dim=-1)


def responsibilities(
    similarity: Tensor, normaliser: Tensor, slots: Slots, sharpness: float
) -> Tensor:
    """Responsibility of a pair's class for each token of its sound.

    Args:
        similarity: s_kj = cos(a_j, e_k), (P, n_a).
        normaliser: From ``log_normaliser``, (B, n_a).
        slots: The place of each pair in a table.
        sharpness: beta.

    Returns:
        The responsibilities over their mean, (P, n_a): how loud a class is does not count, only
        where it sounds.
    """
    belonging = sharpness * similarity - normaliser[slots.clip]
    return belonging.softmax(dim=-1) * similarity.shape[1]


class PromptLearner(nn.Module):
    """Learned context vectors before each class name (Sec. 4.6).

    They follow Zhou et al., 2022 ("Conditional Prompt Learning for Vision-Language Models"): all
    classes share them, and they are trained through the frozen text encoder. They limit zero-shot
    use: a name outside training meets a context fitted to others.

    Args:
        length: L, the number of vectors.
        width: Channels of the text encoder.
    """

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.context = nn.Parameter(normal(length, width, times=0.02))

    def forward(self, encoder: PromptableTextEncoder, token_ids: Tensor) -> Tensor:
        """Text embeddings of [start, context, name, end]: (N, D).

        Args:
            encoder: The frozen text encoder; gradients pass through it to the context.
            token_ids: (N, L), end token highest.

        Raises:
            VocabularyError: A name is too long to leave room for the context.
        """
        end = token_ids.argmax(dim=-1)
        length, added = token_ids.shape[1], len(self.context)
        if int(end.max()) + added >= length:
            raise VocabularyError(
                f"A class name leaves no room for {added} prompt vectors.",
                "Shorten the name or the prompt.",
            )
        embedded = encoder.token_embedding(token_ids)
        context = self.context.expand(len(token_ids), -1, -1)
        joined = torch.cat([embedded[:, :1], context, embedded[:, 1 : length - added]], dim=1)
        return unit(encoder.encode_embedded(joined, end + added))


def sample_classes(labels: Tensor, most: int) -> Tensor:
    """Choose the classes that a training step runs through the text encoder.

    Args:
        labels: (B, N) bool.
        most: Most classes, unless the batch itself holds more.

    Returns:
        Class indices in ascending order: those of the batch and a random rest.
    """
    present = labels.any(dim=0)
    rest = max(0, min(most, labels.shape[1]) - int(present.sum()))
    others = (~present).nonzero()[:, 0]
    drawn = others[torch.randperm(len(others), device=labels.device)[:rest]]
    return torch.cat([present.nonzero()[:, 0], drawn]).sort().values


def require_token_ids(vocabulary: Vocabulary) -> Tensor:
    """Token ids of a vocabulary.

    Raises:
        UsageError: It has none.
    """
    if vocabulary.token_ids is None:
        raise UsageError(
            "Learned prompts need token ids, and this vocabulary has none.",
            "Build it with the encoder's `vocabulary`.",
        )
    return vocabulary.token_ids


def build_prompts(length: int, text_encoder: PromptableTextEncoder | None) -> PromptLearner | None:
    """Untrained prompts for a head; None for a length of 0.

    Args:
        length: Number of context vectors.
        text_encoder: The text encoder; needed for one vector or more.

    Raises:
        UsageError: The text encoder is missing, or not frozen.
    """
    if length == 0:
        return None
    if text_encoder is None:
        raise UsageError("Learned prompts need the text encoder.", "Give it to TVSL.")
    if isinstance(text_encoder, nn.Module) and any(
        parameter.requires_grad for parameter in text_encoder.parameters()
    ):
        raise UsageError("The text encoder is not frozen.", "Call its `freeze()` first.")
    return PromptLearner(length, text_encoder.token_embedding.embedding_dim)
