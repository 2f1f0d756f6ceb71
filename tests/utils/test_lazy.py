from __future__ import annotations

import gc

import pytest

from tvsl.utils.lazy import importing


def test_imports_are_not_searched_for_cycles_neither_then_nor_later() -> None:
    assert gc.isenabled()
    before = gc.get_freeze_count()
    try:
        with importing():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()


def test_cycles_are_searched_for_again_after_an_import_that_fails() -> None:
    with pytest.raises(ModuleNotFoundError), importing():
        import tvsl.missing  # type: ignore[import-not-found]  # noqa: F401
    gc.unfreeze()
    assert gc.isenabled()
