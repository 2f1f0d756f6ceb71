"""All tables by name."""

from __future__ import annotations

from collections.abc import Mapping

from tvsl.evaluation.reproduction.further_tables import (
    IMPROVEMENTS,
    LABELS,
    NEGATIVES_TABLE,
    OFF_SCREEN,
    READOUT_TABLE,
    TOKENS,
    TWINS,
)
from tvsl.evaluation.reproduction.paper_tables import (
    TABLE_1,
    TABLE_2,
    TABLE_3,
    TABLE_4,
    TABLE_5,
    TABLE_6,
    TABLE_7,
)
from tvsl.evaluation.reproduction.specs import TableSpec

TABLES: Mapping[str, TableSpec] = {
    table.name: table
    for table in (
        TABLE_1,
        TABLE_2,
        TABLE_3,
        TABLE_4,
        TABLE_5,
        TABLE_6,
        TABLE_7,
        LABELS,
        READOUT_TABLE,
        IMPROVEMENTS,
        TOKENS,
        TWINS,
        OFF_SCREEN,
        NEGATIVES_TABLE,
    )
}
"""All tables by name; the first seven are the paper's."""
