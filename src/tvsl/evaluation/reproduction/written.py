"""What came out as files: Markdown, CSV and JSON."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tvsl.csv_cells import write_rows
from tvsl.evaluation.card import markdown_table
from tvsl.evaluation.reproduction.agreement import agreements, sentences
from tvsl.evaluation.reproduction.claims import Claim
from tvsl.evaluation.reproduction.plan import Choice
from tvsl.evaluation.reproduction.results import Line, Table
from tvsl.evaluation.reproduction.run import Reproduction
from tvsl.evaluation.reproduction.texts import (
    choice_table,
    head_title,
    how,
    order_table,
    remarks,
    text_table,
)
from tvsl.evaluation.tables import Table as TextTable

CSV_HEAD = (
    "table",
    "row",
    "labels",
    "column",
    "mean",
    "deviation",
    "seeds",
    "paper",
    "trained",
)


def markdown(found: Reproduction) -> str:
    """All tables with what they say, as Markdown."""
    parts = [f"# The paper's tables on {found.conditions.title}"]
    parts += [f"**{warning}**" for warning in found.conditions.warnings]
    if found.claims:
        parts += ["## Expected, and found", _listed([claim_text(one) for one in found.claims])]
    for table in found.tables:
        number = "" if table.number is None else f"Table {table.number}: "
        parts += [f"## {number}{table.title}", table.says, _as_markdown(text_table(table))]
        order = order_table(table)
        if order is not None:
            parts += [f"{order.title}:", _as_markdown(order)]
        told = [*sentences(table), *remarks(table)]
        if told:
            parts.append(_listed(told))
    choices = choice_table(found.choices)
    if choices.rows:
        parts += [f"## {choices.title}", _as_markdown(choices)]
    parts.append("## How it was measured")
    parts += [f"**{term}.** {text}" for term, text in how(found.conditions)]
    return "\n\n".join(parts) + "\n"


def claim_text(claim: Claim) -> str:
    """A claim, whether it came out, and by what numbers."""
    return f"{'Holds' if claim.holds else 'Does not hold'}: {claim.says} ({claim.numbers})"


def _as_markdown(table: TextTable) -> str:
    return markdown_table(table.heads, [[_cell(text) for text in row] for row in table.rows])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def csv_text(found: Reproduction) -> str:
    """All cells in long form."""
    text = io.StringIO()
    write_rows(text, [CSV_HEAD])
    for table in found.tables:
        for line in table.lines:
            write_rows(text, _csv_rows(table, line))
    return text.getvalue()


def _csv_rows(table: Table, line: Line) -> list[list[object]]:
    rows: list[list[object]] = []
    for column, head in enumerate(table.heads):
        value = line.values[column]
        paper = line.paper[table.beside[0]][column] if table.beside else None
        if value is not None:
            cells = (value.mean, value.deviation, len(value.seeds), paper, line.trained[column])
            rows.append([table.name, line.row, line.labels, head, *cells])
    return rows


def json_content(found: Reproduction) -> dict[str, Any]:
    """Everything, as plain JSON types."""
    conditions = found.conditions
    return {
        "conditions": {
            **{name: value for name, value in vars(conditions).items() if name != "config"},
            "config": conditions.config.model_dump(mode="json"),
            "warnings": list(conditions.warnings),
        },
        "claims": [asdict(claim) for claim in found.claims],
        "tables": [_table(table) for table in found.tables],
        "choices": [_choice(choice) for choice in found.choices],
    }


def _table(table: Table) -> dict[str, Any]:
    return {
        "name": table.name,
        "title": table.title,
        "paper_table": table.number,
        "columns": list(table.heads),
        "left_out": dict(table.left_out),
        "beside": list(table.beside),
        "lines": [_line(line) for line in table.lines],
        "agreements": [asdict(one) for one in agreements(table)],
        "sentences": sentences(table),
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "row": line.row,
        "labels": line.labels,
        "trivial": line.trivial,
        "seeds": [None if value is None else list(value.seeds) for value in line.values],
        "mean": [None if value is None else value.mean for value in line.values],
        "deviation": [None if value is None else value.deviation for value in line.values],
        "paper": {name: list(numbers) for name, numbers in line.paper.items()},
        "trained": list(line.trained),
        "notes": list(line.notes),
    }


def _choice(choice: Choice) -> dict[str, Any]:
    return {
        "head": head_title(choice.unit.head),
        "task": choice.unit.task,
        "chosen": None if choice.chosen is None else choice.chosen.digest,
        "reason": choice.reason,
        "candidates": [
            {**asdict(training), "digest": training.digest, "validation": score}
            for training, score in choice.scores
        ],
    }
