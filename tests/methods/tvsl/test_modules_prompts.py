from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.methods.tvsl.inputs import SIZE, head, queries, ragged_labels, tokens, total, vocabulary
from tvsl.audioclip.config import (
    AudioCLIPConfig,
    AudioEncoderConfig,
    ImageEncoderConfig,
    TextEncoderConfig,
)
from tvsl.audioclip.model import AudioCLIP
from tvsl.errors import UsageError, VocabularyError
from tvsl.methods.tvsl import TVSL
from tvsl.methods.tvsl.modules import PromptLearner, require_token_ids, sample_classes
from tvsl.tokens import Vocabulary

CONTEXT = 12
START, END = 98, 99
TINY = AudioCLIPConfig(
    embedding=SIZE,
    image=ImageEncoderConfig(resolution=32, width=8, blocks=(1, 1, 1, 1), heads=2),
    audio=AudioEncoderConfig(
        filter_length=64, window_length=64, hop_length=32, stem_width=8, blocks=(1, 1, 1, 1),
        groups=2, group_width=2,
    ),
    text=TextEncoderConfig(vocabulary=100, context=CONTEXT, width=8, layers=2, heads=2),
)  # fmt: skip
NAMES = ([5], [7, 8], [9, 3, 4, 2], [1], [2, 6], [8, 8], [4])


@pytest.fixture
def encoder() -> AudioCLIP:
    torch.manual_seed(7)
    model = AudioCLIP(TINY)
    with torch.no_grad():  # positions and words that matter more than at the start of training
        model.positional_embedding.mul_(50)
        model.token_embedding.weight.mul_(50)
    return model.double().freeze()


def token_ids(names: tuple[list[int], ...] = NAMES) -> Tensor:
    rows = torch.zeros(len(names), CONTEXT, dtype=torch.int64)
    for row, name in enumerate(names):
        text = [START, *name, END]
        rows[row, : len(text)] = torch.tensor(text)
    return rows


def words(encoder: AudioCLIP, names: tuple[list[int], ...] = NAMES) -> Vocabulary:
    ids = token_ids(names)
    with torch.no_grad():
        embeddings = F.normalize(encoder.encode_token_ids(ids), dim=-1)
    return Vocabulary(tuple(str(n) for n in range(len(names))), embeddings, ids)


def prompted(encoder: AudioCLIP, length: int = 4, **hyperparameters: object) -> TVSL:
    return head(prompt_length=length, text_encoder=encoder, **hyperparameters)


def test_no_vectors_give_plain_embeddings(encoder: AudioCLIP) -> None:
    embedded = PromptLearner(0, 8).double()(encoder, token_ids())
    torch.testing.assert_close(embedded, words(encoder).embeddings)


@pytest.mark.parametrize("length", [1, 3, 6])
def test_vectors_stand_between_start_and_name(encoder: AudioCLIP, length: int) -> None:
    torch.manual_seed(0)
    learner = PromptLearner(length, 8).double()
    with torch.no_grad():
        learner.context.mul_(100)
    together = learner(encoder, token_ids())
    for row, name in enumerate(NAMES):
        look_up = encoder.token_embedding.weight
        sentence = torch.stack(
            [look_up[START], *learner.context, *(look_up[i] for i in name), look_up[END]]
        )
        assert len(sentence) <= CONTEXT
        alone = encoder.encode_embedded(sentence[None], torch.tensor([len(sentence) - 1]))[0]
        torch.testing.assert_close(together[row], alone / alone.norm())
    assert not torch.allclose(together, words(encoder).embeddings, atol=1e-3)


@pytest.mark.parametrize(("length", "fits"), [(6, True), (7, False), (32, False)])
def test_name_that_leaves_no_room_is_refused(encoder: AudioCLIP, length: int, fits: bool) -> None:
    learner = PromptLearner(length, 8).double()  # start, four words and end leave 6 places
    if fits:
        assert learner(encoder, token_ids()).isfinite().all()
    else:
        with pytest.raises(VocabularyError, match="room"):
            learner(encoder, token_ids())


@pytest.mark.parametrize(("most", "count"), [(2, 4), (4, 4), (5, 5), (20, 20), (500, 30)], ids=str)
def test_sample_holds_the_batch_and_at_most_the_number(most: int, count: int) -> None:
    labels = torch.zeros(3, 30, dtype=torch.bool)
    for clip, label in ((0, 3), (0, 29), (1, 3), (1, 0), (2, 17)):
        labels[clip, label] = True
    chosen = sample_classes(labels, most).tolist()
    assert len(chosen) == count == len(set(chosen))
    assert {0, 3, 17, 29} <= set(chosen)
    assert chosen == sorted(chosen)


def test_sample_is_random_but_follows_the_seed() -> None:
    labels = ragged_labels([1, 2], classes=200)

    def drawn(seed: int) -> list[int]:
        torch.manual_seed(seed)
        return sample_classes(labels, 20).tolist()

    assert drawn(0) == drawn(0)
    assert drawn(0) != drawn(1)


def test_vocabulary_without_token_ids_is_refused(encoder: AudioCLIP) -> None:
    with pytest.raises(UsageError):
        require_token_ids(vocabulary())
    with pytest.raises(UsageError):
        prompted(encoder).maps(tokens(1), queries((0, 0)), vocabulary())


def test_training_moves_the_context_and_nothing_of_the_encoder(encoder: AudioCLIP) -> None:
    trained = prompted(encoder, 4)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    context = trained.prompts.context.detach().clone()  # type: ignore[union-attr]
    optimiser = torch.optim.Adam(trained.parameters(), lr=0.01)
    for _ in range(3):
        optimiser.zero_grad()
        losses = trained.losses(tokens(3), ragged_labels([1, 2, 3]), words(encoder))
        total(losses).backward()
        optimiser.step()
    for name, parameter in trained.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.norm() > 0, name
    moved = trained.prompts.context.detach() - context  # type: ignore[union-attr]
    assert moved.abs().min() > 1e-4
    assert all(parameter.grad is None for parameter in encoder.parameters())
    after = encoder.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_encoder_is_no_part_of_the_head(encoder: AudioCLIP) -> None:
    with_prompts, without = prompted(encoder, 4), head()
    added = with_prompts.state_dict().keys() ^ without.state_dict().keys()
    assert added == {"prompts.context"}
    assert with_prompts.state_dict()["prompts.context"].shape == (4, 8)
    encoder_parameters = {id(p) for p in encoder.parameters()}
    assert not encoder_parameters & {id(p) for p in with_prompts.parameters()}


def test_losses_use_prompted_embeddings_of_sampled_classes(encoder: AudioCLIP) -> None:
    """With every class in the sample the losses are those of a head without prompts that is
    given the prompted embeddings as its vocabulary."""
    with_prompts, plain = prompted(encoder, 3, prompt_classes=64), head()
    plain.load_state_dict(with_prompts.state_dict(), strict=False)
    embedded = with_prompts.prompts(encoder, token_ids()).detach()  # type: ignore[misc]
    other = Vocabulary(words(encoder).names, embedded)
    labels, batch = ragged_labels([1, 2, 3]), tokens(3)
    found = with_prompts.losses(batch, labels, words(encoder))
    expected = plain.losses(batch, labels, other)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name])


def test_few_prompt_classes_still_hold_the_labels(encoder: AudioCLIP) -> None:
    head_of_two = prompted(encoder, 2, prompt_classes=2)
    losses = head_of_two.losses(tokens(3), ragged_labels([3, 2, 3]), words(encoder))
    assert total(losses).isfinite()


OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "loop": lambda p: torch.optim.Adam(p, lr=0.5, foreach=False),
    "foreach": lambda p: torch.optim.Adam(p, lr=0.5, foreach=True),
    "fused": lambda p: torch.optim.Adam(p, lr=0.5, fused=True),
    "sgd": lambda p: torch.optim.SGD(p, lr=50.0),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_kept_embeddings_are_renewed_after_a_step(encoder: AudioCLIP, name: str) -> None:
    trained, batch, known = prompted(encoder), tokens(2), words(encoder)
    pairs = queries((0, 1), (1, 4))
    optimiser = OPTIMISERS[name]([trained.prompts.context])  # type: ignore[union-attr]
    with torch.no_grad():
        before = trained.maps(batch, pairs, known)
        assert torch.equal(trained.maps(batch, pairs, known), before)
    total(trained.losses(batch, ragged_labels([2, 2]), known)).backward()
    optimiser.step()
    with torch.no_grad():
        after = trained.maps(batch, pairs, known)
        fresh = prompted(encoder)
        fresh.load_state_dict(trained.state_dict())
        torch.testing.assert_close(after, fresh.maps(batch, pairs, known))
    assert not torch.allclose(after, before, atol=1e-6)


def test_kept_embeddings_are_renewed_for_another_vocabulary(encoder: AudioCLIP) -> None:
    with_prompts, batch = prompted(encoder), tokens(2)
    pairs, names = queries((0, 1), (1, 4)), (*NAMES[::-1],)
    with torch.no_grad():
        first = with_prompts.detect(batch, words(encoder))
        other = with_prompts.detect(batch, words(encoder, names))
        torch.testing.assert_close(other, first.flip(1))
        again = with_prompts.maps(batch, pairs, words(encoder))
        torch.testing.assert_close(again, prompted(encoder).maps(batch, pairs, words(encoder)))


def test_kept_embeddings_run_the_encoder_once(
    encoder: AudioCLIP, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    inner = encoder.encode_embedded

    def counted(embedded: Tensor, end: Tensor) -> Tensor:
        calls.append(len(end))
        return inner(embedded, end)

    with_prompts, batch, known = prompted(encoder), tokens(2), words(encoder)
    monkeypatch.setattr(encoder, "encode_embedded", counted)
    for _ in range(3):
        with_prompts.maps(batch, queries((0, 1)), known)
        with_prompts.detect(batch, known)
    assert calls == [7]


def test_maps_can_be_differentiated_after_use_in_inference_mode(encoder: AudioCLIP) -> None:
    with_prompts = prompted(encoder, readout="signed")
    batch, known = tokens(2), words(encoder)
    with torch.inference_mode():
        with_prompts.maps(batch, queries((0, 1)), known)
    with_prompts.maps(batch, queries((0, 1)), known).sum().backward()
    gradient = with_prompts.project_audio_correspondence.weight.grad
    assert isinstance(gradient, Tensor)
    assert gradient.norm() > 0


def test_kept_embeddings_follow_the_type_of_the_head(encoder: AudioCLIP) -> None:
    with_prompts, batch, known = prompted(encoder), tokens(2), words(encoder)
    with_prompts.detect(batch, known)
    single = with_prompts.float()
    encoder.float()
    short = Vocabulary(known.names, known.embeddings.float(), known.token_ids)
    batch32 = type(batch)(
        batch.visual.float(), batch.audio.float(), batch.image.float(), batch.sound.float(),
        batch.grid,
    )  # fmt: skip
    assert single.detect(batch32, short).dtype == torch.float32


def test_a_text_encoder_that_is_not_frozen_is_refused() -> None:
    with pytest.raises(UsageError, match="not frozen"):
        head(prompt_length=2, text_encoder=AudioCLIP(TINY))
