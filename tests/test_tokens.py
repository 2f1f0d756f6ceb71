from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from tvsl.errors import ShapeError, TvslError, VocabularyError
from tvsl.methods.tvsl.conditioning import from_table, to_table
from tvsl.tokens import Queries, Tokens, Vocabulary
from tvsl.vocabularies import check_names


def build_tokens(**changes: object) -> Tokens:
    parts: dict[str, object] = {
        "visual": torch.zeros(2, 12, 4),
        "audio": torch.zeros(2, 5, 4),
        "image": torch.zeros(2, 4),
        "sound": torch.zeros(2, 4),
        "grid": (3, 4),
        **changes,
    }
    return Tokens(**parts)  # type: ignore[arg-type]


def test_tokens_tell_their_sizes() -> None:
    tokens = build_tokens()
    assert (tokens.batch, tokens.size, tokens.panels) == (2, 4, 1)
    assert build_tokens(panels=2).panels == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"visual": torch.zeros(12, 4)},
        {"visual": torch.zeros(2, 3, 4, 4)},
        {"audio": torch.zeros(2, 4)},
        {"image": torch.zeros(2, 1, 4)},
        {"sound": torch.zeros(4)},
        {"visual": torch.zeros(3, 12, 4)},
        {"audio": torch.zeros(1, 5, 4)},
        {"image": torch.zeros(1, 4)},
        {"sound": torch.zeros(3, 4)},
        {"visual": torch.zeros(2, 12, 8)},
        {"audio": torch.zeros(2, 5, 5)},
        {"image": torch.zeros(2, 3)},
        {"sound": torch.zeros(2, 8)},
        {"grid": (3, 5)},
        {"grid": (12, 4)},
        {"audio": torch.zeros(2, 0, 4)},
        {"visual": torch.zeros(2, 0, 4), "grid": (0, 4)},
        {"grid": (-3, -4)},
        {"panels": 0},
        {"panels": -1},
        {"panels": 3},
    ],
    ids=lambda c: ", ".join(f"{k} {tuple(getattr(v, 'shape', [v]))}" for k, v in c.items()),
)
def test_tokens_against_the_contract_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ShapeError):
        build_tokens(**changes)


def test_message_names_the_side_that_is_empty() -> None:
    with pytest.raises(ShapeError, match="audio"):
        build_tokens(audio=torch.zeros(2, 0, 4))


def test_tokens_are_frozen_and_move_whole() -> None:
    tokens = build_tokens(panels=2)
    with pytest.raises(FrozenInstanceError):
        tokens.panels = 3  # type: ignore[misc]
    moved = tokens.to("meta")
    for name in ("visual", "audio", "image", "sound"):
        assert getattr(moved, name).device.type == "meta"
    assert (moved.grid, moved.panels) == ((3, 4), 2)


def rows(count: int, size: int = 4) -> Tensor:
    return F.normalize(torch.randn(count, size, generator=torch.Generator().manual_seed(0)), dim=-1)


def test_vocabulary_finds_names() -> None:
    words = Vocabulary(("dog", "cat", "train"), rows(3))
    assert len(words) == 3
    assert words.indices(["train", "dog", "train"]) == [2, 0, 2]
    assert words.indices([]) == []
    with pytest.raises(VocabularyError, match="'Cats', 'cow'"):
        words.indices(["Cats", "dog", "cow"])
    assert words.indices(["Cat", "ｄｏｇ ", "TRAIN"]) == [1, 0, 2]  # noqa: RUF001


@pytest.mark.parametrize(
    ("names", "embeddings", "ids", "error"),
    [
        ((), torch.zeros(0, 4), None, VocabularyError),
        (("a", "a"), rows(2), None, VocabularyError),
        (("a", " "), rows(2), None, VocabularyError),
        (("a", ""), rows(2), None, VocabularyError),
        (("a", "b"), rows(3), None, ShapeError),
        (("a", "b"), rows(2)[0], None, ShapeError),
        (("a", "b"), rows(2)[None], None, ShapeError),
        (("a", "b"), 2 * rows(2), None, ShapeError),
        (("a", "b"), 0 * rows(2), None, ShapeError),
        (("a", "b"), torch.nan * rows(2), None, ShapeError),
        (("a", "b"), rows(2), torch.zeros(3, 7), ShapeError),
    ],
)
def test_vocabulary_against_the_contract_is_refused(
    names: tuple[str, ...], embeddings: Tensor, ids: Tensor | None, error: type[TvslError]
) -> None:
    with pytest.raises(error) as caught:
        Vocabulary(names, embeddings, ids)
    assert caught.value.remedy


def test_vocabulary_takes_half_precision_and_moves_whole() -> None:
    ids = torch.zeros(2, 7, dtype=torch.int64)
    words = Vocabulary(("a", "b"), rows(2).bfloat16(), ids)
    moved = replace(words, embeddings=rows(2)).to("cpu")
    assert moved.names == words.names
    assert moved.token_ids is not None


@pytest.mark.parametrize("names", [["a", "b", "a", "b"], ["a", "\t"], []])
def test_bad_names_are_refused(names: list[str]) -> None:
    with pytest.raises(VocabularyError):
        check_names(names)


def test_duplicates_are_named_once() -> None:
    with pytest.raises(VocabularyError, match="twice: 'b', 'a'") as caught:
        check_names(["b", "a", "c", "b", "a", "a"])
    assert caught.value.problem.count("'b', 'a'") == 1


def test_many_names_are_checked_quickly() -> None:
    """Linear time: a quadratic check asks every comparison below, a linear one hardly any."""
    asked = 0

    class Counting(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            nonlocal asked
            asked += 1
            return str.__eq__(self, other)

    check_names([Counting(f"name {number}") for number in range(300)])
    assert asked < 3000


@pytest.mark.parametrize(
    ("clip", "label"),
    [
        (torch.tensor([0, 1]), torch.tensor([0])),
        (torch.tensor([[0]]), torch.tensor([[0]])),
        (torch.tensor(0), torch.tensor(0)),
        (torch.tensor([0.0]), torch.tensor([0])),
        (torch.tensor([0]), torch.tensor([1.0])),
        (torch.tensor([True]), torch.tensor([0])),
        (torch.tensor([0]), torch.tensor([True])),
    ],
    ids=["lengths", "two axes", "no axis", "float clip", "float label", "bool clip", "bool label"],
)
def test_queries_against_the_contract_are_refused(clip: Tensor, label: Tensor) -> None:
    with pytest.raises(ShapeError):
        Queries(clip, label)


def test_queries_from_labels_and_lists() -> None:
    labels = torch.tensor([[1, 0, 1], [0, 0, 0], [0, 1, 0]]).bool()
    for queries in (Queries.from_labels(labels), Queries.from_lists([[0, 2], [], [1]])):
        assert queries.clip.tolist() == [0, 0, 2]
        assert queries.label.tolist() == [0, 2, 1]
        assert queries.clip.dtype == queries.label.dtype == torch.int64
        assert len(queries) == 3
    assert Queries.from_lists([[2, 0, 2]]).label.tolist() == [2, 0, 2]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=12))
def test_a_class_is_alone_where_its_clip_has_no_other(pairs: list[tuple[int, int]]) -> None:
    columns = torch.tensor(pairs, dtype=torch.int64).view(-1, 2)
    alone = Queries(columns[:, 0], columns[:, 1]).alone()
    expected = [len({label for clip, label in pairs if clip == own}) == 1 for own, _ in pairs]
    assert alone.tolist() == expected


@pytest.mark.parametrize("empty", [[], [[]], [[], []]])
def test_no_query_is_no_error(empty: list[list[int]]) -> None:
    queries = Queries.from_lists(empty)
    queries.check(2, 1)
    assert len(queries) == queries.slots(2).width == 0


def test_labels_that_are_counted_give_as_many_queries() -> None:
    queries = Queries.from_labels(torch.tensor([[0, 2, 1], [0, 0, 0], [3, 0, 0]]))
    assert queries.clip.tolist() == [0, 0, 0, 2, 2, 2]
    assert queries.label.tolist() == [1, 1, 2, 0, 0, 0]
    assert len(Queries.from_labels(torch.zeros(2, 3, dtype=torch.int32))) == 0


@pytest.mark.parametrize(
    "labels", [torch.ones(2, 3), torch.ones(2, 3).to(torch.complex64), torch.ones(3).bool()]
)
def test_labels_that_are_no_table_of_whole_numbers_are_refused(labels: Tensor) -> None:
    with pytest.raises(ShapeError):
        Queries.from_labels(labels)


@pytest.mark.parametrize(
    ("batch", "classes", "named"), [(2, 6, "clip"), (3, 5, "label"), (0, 6, "clip")]
)
def test_check_refuses_indices_outside(batch: int, classes: int, named: str) -> None:
    queries = Queries.from_lists([[5], [], [0]])
    queries.check(3, 6)
    with pytest.raises(ShapeError, match=named):
        queries.check(batch, classes)


@pytest.mark.parametrize(("clip", "label"), [(-1, 0), (0, -1)])
def test_check_refuses_negative_indices(clip: int, label: int) -> None:
    with pytest.raises(ShapeError):
        Queries(torch.tensor([clip]), torch.tensor([label])).check(3, 3)


def test_queries_move_whole() -> None:
    moved = Queries.from_lists([[1], [0]]).to("meta")
    assert moved.clip.device.type == moved.label.device.type == "meta"


@settings(max_examples=60)
@given(st.lists(st.integers(0, 6), max_size=40), st.integers(1, 9))
def test_chunks_hold_every_pair_once(clips: list[int], size: int) -> None:
    queries = Queries(torch.tensor(clips, dtype=torch.int64), 10 * torch.arange(len(clips)))
    met = []
    for chunk in queries.chunks(size):
        assert len(chunk.queries) == len(chunk.positions) <= size
        assert len(set(chunk.clips.tolist())) == len(chunk.clips) <= max(len(chunk.queries), 0)
        chunk.queries.check(len(chunk.clips), 10 * len(clips) + 1)
        whole = chunk.clips[chunk.queries.clip]
        assert torch.equal(whole, queries.clip[chunk.positions])
        assert torch.equal(chunk.queries.label, queries.label[chunk.positions])
        met += chunk.positions.tolist()
    assert sorted(met) == list(range(len(clips)))


@settings(max_examples=60)
@given(st.lists(st.integers(0, 6), max_size=40), st.integers(0, 4))
def test_slots_give_every_pair_a_place_of_its_own(clips: list[int], spare: int) -> None:
    batch = 7 + spare
    queries = Queries(torch.tensor(clips, dtype=torch.int64), torch.arange(len(clips)))
    slots = queries.slots(batch)
    places = list(zip(slots.clip.tolist(), slots.slot.tolist(), strict=True))
    assert len(set(places)) == len(clips)
    assert slots.clip.tolist() == clips
    assert slots.width == max((clips.count(clip) for clip in clips), default=0)
    for clip in set(clips):  # ranks in the order given, without gaps
        ranks = [slot for where, slot in places if where == clip]
        assert ranks == list(range(clips.count(clip)))
    values = torch.arange(1.0, 1 + 3 * len(clips)).view(-1, 3)
    table = to_table(values, slots, batch)
    assert torch.equal(from_table(table, slots), values)
    assert table.sum() == values.sum()


def vocabulary_of(embeddings: Tensor) -> Vocabulary:
    return Vocabulary(tuple(f"name {row}" for row in range(len(embeddings))), embeddings)


def at_angles(*degrees: float) -> Vocabulary:
    turns = torch.tensor(degrees).deg2rad()
    return vocabulary_of(torch.stack([turns.cos(), turns.sin()], dim=1))


def test_a_chain_of_likenesses_is_broken_where_its_ends_differ() -> None:
    # cos 15 = 0.966, cos 20 = 0.940, cos 35 = 0.819, cos 55 = 0.574
    names = at_angles(0, 20, 35, 90)
    assert names.groups(0.95).tolist() == [0, 1, 1, 3]
    assert names.groups(0.9).tolist() == [0, 1, 1, 3]
    assert names.groups(0.8).tolist() == [0, 0, 0, 3]
    assert names.groups(0.98).tolist() == [0, 1, 2, 3]


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(1, 30),
    cosine=st.floats(0.2, 0.99),
)
def test_names_of_a_group_are_alike_and_no_two_groups_are(
    seed: int, count: int, cosine: float
) -> None:
    names = vocabulary_of(
        F.normalize(torch.randn(count, 3, generator=torch.Generator().manual_seed(seed)), dim=1)
    )
    groups = names.groups(cosine)
    alike = names.embeddings.double() @ names.embeddings.double().T
    members = {int(g): (groups == g).nonzero()[:, 0] for g in groups.unique()}
    for first, rows in members.items():
        assert int(rows[0]) == first
        assert float(alike[rows][:, rows].min()) >= cosine - 1e-5
        for second, others in members.items():
            if first != second:
                assert float(alike[rows][:, others].min()) < cosine + 1e-5


def test_groups_of_many_names() -> None:
    """More than are compared at once; the second half repeats the first."""
    half = F.normalize(torch.randn(1500, 64, generator=torch.Generator().manual_seed(0)), dim=1)
    groups = vocabulary_of(torch.cat([half, half])).groups(0.9)
    assert torch.equal(groups, torch.arange(1500).repeat(2))


def test_some_rows_of_a_vocabulary() -> None:
    names = Vocabulary(("a", "b", "c"), torch.eye(3), torch.arange(6).view(3, 2))
    found = names.chosen([2, 0])
    assert found.names == ("c", "a")
    assert torch.equal(found.embeddings, torch.eye(3)[[2, 0]])
    assert found.token_ids is not None
    assert found.token_ids.tolist() == [[4, 5], [0, 1]]
