"""The interface does what its description says: requests that Schemathesis makes up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.serve.service import running_server

schemathesis = pytest.importorskip("schemathesis")


@pytest.mark.slow
@pytest.mark.parametrize("token", ["", "a-token-of-some-length"])
def test_answers_are_as_described(tmp_path: Path, token: str) -> None:
    sent = {"Authorization": f"Bearer {token}"} if token else {}
    from schemathesis.specs.openapi.checks import positive_data_acceptance as accepted

    asked = set()

    def check(case: Any) -> None:
        asked.add((case.method, case.path))
        # No schema says that two labels are spellings of one, or that one has no letters.
        is_form = (case.method, case.path) == ("POST", "/api/v1/jobs")
        case.call_and_validate(headers=sent, excluded_checks=[accepted] if is_form else [])

    decorate = settings(
        max_examples=40,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    with running_server(tmp_path, token) as (process, address):
        schema = schemathesis.openapi.from_url(f"{address}openapi.json", headers=sent)
        for operation in schema.get_all_operations():
            decorate(given(operation.ok().as_strategy())(check))()
        assert len(asked) == 7
        process.terminate()
        assert process.communicate() == ("", "")
