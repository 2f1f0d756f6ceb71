from __future__ import annotations

import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.data.made_files import write
from tvsl.data import pickled_masks
from tvsl.data.pickled_masks import PickledMask, read_pickled_mask
from tvsl.errors import MediaError, MediaLimitError, MissingFileError, UnreadableMediaError

MASK = np.array([[0, 1, 0], [2, 0, 255]], dtype=np.uint8)

masks = arrays(
    st.sampled_from(["?", "u1", "<i4", ">i8", "<f4", ">f8", "<f2"]),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(masks, st.integers(0, 5), st.booleans())
def test_arrays_of_any_kind_and_protocol_are_read(
    tmp_path: Path, mask: np.ndarray, protocol: int, columns_first: bool
) -> None:
    array = np.asfortranarray(mask) if columns_first else mask
    path = write(tmp_path / "mask.pkl", pickle.dumps(array, protocol))
    if (mask < 0).any():
        with pytest.raises(UnreadableMediaError, match="negative"):
            read_pickled_mask(path)
    else:
        np.testing.assert_array_equal(read_pickled_mask(path), mask > 0)


@pytest.mark.parametrize("kind", ["i1", "<i2", ">i4", "i8", "<f2", ">f4", "f8"])
@pytest.mark.parametrize("value", [-1, -128, -0.5, -np.inf])
def test_negative_values_mean_nothing_and_are_refused(
    tmp_path: Path, kind: str, value: float
) -> None:
    if np.dtype(kind).kind == "i" and value != int(max(value, -128)):
        pytest.skip("whole numbers cannot hold it")
    values = MASK.astype(kind) * (MASK < 3)
    values[1, 1] = value
    path = write(tmp_path / "mask.pkl", pickle.dumps(values))
    with pytest.raises(UnreadableMediaError, match=r"mask\.pkl.*negative"):
        read_pickled_mask(path)


def test_no_number_is_nowhere(tmp_path: Path) -> None:
    values = np.array([[np.nan, 0.0, 1.0], [np.inf, -0.0, -np.nan]])
    for protocol in range(6):
        path = write(tmp_path / "mask.pkl", pickle.dumps(values, protocol))
        assert read_pickled_mask(path).tolist() == [[False, False, True], [True, False, False]]


def test_axes_in_another_order_are_read(tmp_path: Path) -> None:
    values = np.arange(6).reshape(3, 2, 1).transpose(2, 0, 1)  # NumPy writes it as order K
    for protocol in range(6):
        path = write(tmp_path / "mask.pkl", pickle.dumps(values, protocol))
        np.testing.assert_array_equal(read_pickled_mask(path), values[0] != 0)


@pytest.mark.parametrize("shape", [(2, 3, 1), (1, 2, 3)])
def test_an_axis_of_length_one_is_dropped(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = write(tmp_path / "mask.pkl", pickle.dumps(MASK.reshape(shape)))
    np.testing.assert_array_equal(read_pickled_mask(path), MASK != 0)


def test_what_older_versions_wrote_is_read(tmp_path: Path) -> None:
    new = pickle.dumps(MASK, 2)
    old = new.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    for content in (new, old):
        path = write(tmp_path / "mask.pkl", content)
        np.testing.assert_array_equal(read_pickled_mask(path), MASK != 0)


def test_python_2_wrote_bytes_as_text(tmp_path: Path) -> None:
    raw = MASK.tobytes()
    text = b"U" + struct.pack("<B", len(raw)) + raw  # SHORT_BINSTRING
    content = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b"
        b"\x87R(K\x01K\x02K\x03\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89" + text + b"tb."
    )
    path = write(tmp_path / "mask", content)
    np.testing.assert_array_equal(read_pickled_mask(path), MASK != 0)


def test_python_2_escaped_bytes_in_its_first_protocol(tmp_path: Path) -> None:
    # As `pickle.dumps(MASK)` of Python 2.7 with NumPy 1.16 writes it.
    content = (
        b"cnumpy.core.multiarray\n_reconstruct\np0\n(cnumpy\nndarray\np1\n(I0\ntp2\nS'b'\np3\n"
        b"tp4\nRp5\n(I1\n(I2\nI3\ntp6\ncnumpy\ndtype\np7\n(S'u1'\np8\nI0\nI1\ntp9\nRp10\n"
        b"(I3\nS'|'\np11\nNNNI-1\nI-1\nI0\ntp12\nbI00\nS'\\x00\\x01\\x00\\x02\\x00\\xff'\n"
        b"p13\ntp14\nb."
    )
    path = write(tmp_path / "mask", content)
    np.testing.assert_array_equal(read_pickled_mask(path), MASK != 0)


def test_a_mask_is_drawn_at_any_size(tmp_path: Path) -> None:
    path = write(tmp_path / "mask.pkl", pickle.dumps(MASK))
    drawn = PickledMask(path).draw(4, 6)
    np.testing.assert_array_equal(drawn, np.kron(MASK != 0, np.ones((2, 2))))


class Harm:
    """Hostile pickle: it calls anything."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def test_nothing_that_a_pickle_names_is_called(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    for function, argument in ((os.mkdir, str(witness)), (eval, "1"), (np.load, "x")):
        path = write(tmp_path / "mask.pkl", pickle.dumps(Harm(function, argument)))
        with pytest.raises(UnreadableMediaError, match="it names"):
            read_pickled_mask(path)
    assert not witness.exists()


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps([1, 2]),
        pickle.dumps({"mask": MASK}),
        pickle.dumps(np.array(["a"], dtype=object)),
        pickle.dumps(np.zeros((2, 2), dtype="U3")),
        pickle.dumps(np.zeros(2, dtype=[("a", "u1")])),
        pickle.dumps(np.zeros((2, 2), dtype="c16")),
        pickle.dumps(np.zeros((2, 2), dtype="M8[s]")),
        pickle.dumps(np.float64(1)),
        pickle.dumps(np.zeros((2, 2, 2))),
        pickle.dumps(np.zeros((0, 2))),
        pickle.dumps(np.zeros(5)),
        pickle.dumps(MASK)[:-20],
        pickle.dumps(np.dtype("u1")),
        b"no pickle",
        b"\x80\x04.",
        b"c__builtin__\neval\n.",
    ],
)
def test_anything_else_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "mask.pkl", content)
    with pytest.raises(UnreadableMediaError) as caught:
        read_pickled_mask(path)
    assert caught.value.path == path


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 5), st.data())
def test_damaged_pickles_are_arrays_or_errors(
    tmp_path: Path, protocol: int, data: st.DataObject
) -> None:
    content = bytearray(pickle.dumps(MASK, protocol))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = write(tmp_path / "mask.pkl", bytes(content))
    try:
        assert read_pickled_mask(path).ndim == 2
    except MediaError as error:
        assert error.path == path  # noqa: PT017


def test_a_program_that_is_too_long_is_not_run(tmp_path: Path) -> None:
    nested: Any = 0
    for _ in range(300):
        nested = (nested,)
    path = write(tmp_path / "mask.pkl", pickle.dumps(nested))
    with pytest.raises(UnreadableMediaError, match="too long a program"):
        read_pickled_mask(path)


def test_sizes_are_limited_before_memory_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pickled_masks, "LARGEST_ARRAY", 5)
    path = write(tmp_path / "mask.pkl", pickle.dumps(MASK))
    with pytest.raises(MediaLimitError, match="larger than 5 values"):
        read_pickled_mask(path)
    monkeypatch.setattr(pickled_masks, "LARGEST_FILE", 10)
    with pytest.raises(MediaLimitError, match="10 are allowed"):
        read_pickled_mask(path)


def test_text_that_is_decoded_again_and_again_is_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = b"X" + struct.pack("<I", 100) + b"a" * 100 + b"q\x01"
    once = b"\x80\x02c_codecs\nencode\nq\x00" + text + b"X\x06\x00\x00\x00latin1q\x02\x86R"
    path = write(tmp_path / "mask.pkl", once + b"h\x00h\x01h\x02\x86R" * 20 + b".")
    monkeypatch.setattr(pickled_masks, "LARGEST_FILE", 1000)
    with pytest.raises(MediaLimitError):
        read_pickled_mask(path)


def test_a_missing_mask(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        PickledMask(tmp_path / "anno" / "sample0000").draw(2, 2)
