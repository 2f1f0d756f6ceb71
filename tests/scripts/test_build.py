from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import torch

from tests.shared_files import shared
from tvsl.models import embedded_folder


@pytest.fixture(name="script")
def _script() -> ModuleType:
    return import_module("build")


def test_word_pieces_in_plain_letters_alone(script: ModuleType, tmp_path: Path) -> None:
    pieces = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "犬", "[MASK]", "dog", "é", "##s"]
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(pieces) + "\n", encoding="utf-8")
    tokenizer, kept = script.english_pieces(path)
    assert [pieces[row] for row in kept] == [
        *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "dog", "##s")
    ]
    assert tokenizer.get_vocab_size() == 7
    found = tokenizer.encode("DOGS 犬")
    assert found.tokens == ["[CLS]", "dog", "##s", "[UNK]", "[SEP]"]
    assert found.ids == [2, 5, 6, 1, 3]


def test_principal_directions_are_white(script: ModuleType) -> None:
    generator = torch.Generator().manual_seed(0)
    scales = torch.tensor([5.0, 0.1, 3.0, 1.0, 0.01])
    rows = torch.randn(500, 5, generator=generator) * scales + 7
    mean, directions = script.principal(rows, 3)
    torch.testing.assert_close(mean, rows.mean(dim=0), atol=1e-4, rtol=1e-4)
    values = (rows - mean) @ directions
    torch.testing.assert_close(values.T @ values / 500, torch.eye(3), atol=1e-3, rtol=0)
    # the largest first: each direction follows one of the columns
    assert directions.abs().argmax(dim=0).tolist() == [0, 2, 3]
    assert (directions.gather(0, directions.abs().argmax(dim=0)[None]) > 0).all()


def test_singular_directions(script: ModuleType) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(40, 6, generator=generator)
    found = script.directions(rows, 4)
    _, _, expected = torch.linalg.svd(rows)
    torch.testing.assert_close(found.T @ found, torch.eye(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        (found.T * expected[:4]).sum(dim=1).abs(), torch.ones(4), atol=1e-4, rtol=0
    )


def test_names_of_cocos_kinds() -> None:
    names = import_module("names").COCO
    assert len(names) == 90
    assert sum(name != "-" for name in names) == 80
    for number, name in ((1, "person"), (3, "car"), (7, "train"), (37, "sports ball")):
        assert names[number - 1] == name
    assert names[89] == "toothbrush"


def test_files_under_cc_by_are_credited() -> None:
    names = import_module("names")
    clip = 'ESC-10 1-2-A.ogg, derived from "A (b).wav" (http://x.org/1/) by someone'
    rows = [
        {"licence": "CC-BY-3.0", "attribution": clip},
        {"licence": "CC-BY-3.0", "attribution": "Notes (N. B.; npm notes), notes A2 A4"},
        {"licence": "CC-BY-3.0", "attribution": "Notes (N. B.; npm notes), notes C2"},
        {"licence": "CC-BY-4.0", "attribution": "Photographs"},
        {"licence": "CC0-1.0", "attribution": "nobody"},
    ]
    assert names.credits_of(rows).splitlines() == [
        "",
        "CC BY 3.0 (https://creativecommons.org/licenses/by/3.0/):",
        f"- {clip}",
        "- Notes (N. B.; npm notes)",
        "",
        "CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/):",
        "- Photographs",
    ]
    assert names.credits_of(rows) in names.card(rows)["NOTICE"]


def test_the_shipped_notice_names_the_authors_of_what_was_learned_from(script: ModuleType) -> None:
    rows = script.usable_rows(shared("real", "index.csv").parent)
    notice = (embedded_folder("everyday") / "NOTICE").read_text(encoding="utf-8")
    assert notice == import_module("names").card(rows)["NOTICE"]
    authors = {
        row["attribution"].rpartition(" by ")[2]
        for row in rows
        if row["licence"].startswith("CC-BY-") and "derived from" in row["attribution"]
    }
    assert len(authors) > 50
    assert all(f" by {author}\n" in notice for author in authors)
