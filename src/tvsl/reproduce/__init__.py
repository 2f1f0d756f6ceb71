"""The paper's tables and figures, measured anew: specs, runs, results."""

from __future__ import annotations
