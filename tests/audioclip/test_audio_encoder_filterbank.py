from __future__ import annotations

import numpy as np
import torch

from tvsl.audioclip.audio_encoder import FilterBank


def bank(bins: int = 9, length: int = 32) -> FilterBank:
    torch.manual_seed(0)
    made = FilterBank(bins, length)
    with torch.no_grad():
        made.m.uniform_(0.3, 2.5)
        made.fb.uniform_(0.5, 2.0)
        made.fc.add_(0.2 * torch.randn(bins))
    return made


def test_filters_are_frequency_b_spline_wavelets() -> None:
    made = bank()
    t = np.pi * np.linspace(-1, 1, made.length)
    real, imaginary = made.matrices(0, made.length)
    for row in range(len(made.m)):
        m, fb, fc = (float(p[row].detach()) for p in (made.m, made.fb, made.fc))
        spline = np.sinc(fb * t / m / np.pi).astype(complex) ** m
        expected = np.sqrt(fb) * spline * np.exp(-1j * fc * t) / np.sqrt(made.length)
        np.testing.assert_allclose(real[row].detach(), expected.real, atol=2e-5)
        np.testing.assert_allclose(imaginary[row].detach(), expected.imag, atol=2e-5)


def test_a_part_of_the_columns_and_rows_is_a_part_of_the_whole() -> None:
    made = bank()
    whole, part = made.matrices(0, 32), made.matrices(5, 20, bins=4)
    for large, small in zip(whole, part, strict=True):
        torch.testing.assert_close(small, large[:4, 5:20], rtol=0, atol=0)


def test_the_three_numbers_of_a_filter_are_learned() -> None:
    made = bank()
    sum(matrix.square().sum() for matrix in made.matrices(0, 32)).backward()  # type: ignore[union-attr]
    for parameter in (made.m, made.fb, made.fc):
        assert parameter.grad is not None
        assert bool(torch.isfinite(parameter.grad).all())
    assert float(made.fb.grad.abs().sum()) > 0  # type: ignore[union-attr]
