"""Audio-visual correspondence block phi^av (Sec. 3.4).

With Ṽ_k = s_kj v_j the printed V̂_k = phi(Ṽ_k, ĝ_k^a, Ṽ_k) is |s_kj| cos(v_j, ĝ_k^a) v_j: again
one weight per token, so that g_k^v is a weighted mean of V' and no copy of the tokens is made.
"""

from __future__ import annotations

from torch import Tensor


def correspondence_weights(visual_similarity: Tensor, audio_similarity: Tensor) -> Tensor:
    """Weights of V' in V̂_k.

    Args:
        visual_similarity: s_kj = cos(v_j, e_k), (P, n_v); ones without image conditioning.
        audio_similarity: c_kj = cos(v_j, ĝ_k^a), (P, n_v).

    Returns:
        |s_kj| c_kj, (P, n_v).
    """
    return visual_similarity.abs() * audio_similarity
