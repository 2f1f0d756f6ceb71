"""The interface does what its description says: requests that Schemathesis makes up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.serve.service import FAKE, running_service
from tvsl.serve.config import ServeConfig

schemathesis = pytest.importorskip("schemathesis")


@pytest.mark.slow
@pytest.mark.parametrize("token", [None, "a-token-of-some-length"])
def test_answers_are_as_described(tmp_path: Path, token: str | None) -> None:
    from hypothesis import HealthCheck, Phase, settings

    config = ServeConfig(max_upload=100_000, max_waiting=50, token=token)
    sent = {} if token is None else {"Authorization": f"Bearer {token}"}
    with running_service(config, tmp_path / "service", FAKE) as service:
        app = service.client.app
        schema = schemathesis.openapi.from_asgi(
            "/openapi.json", app, headers={**sent, "Host": "127.0.0.1"}
        )
        asked = set()
        for found in schema.get_all_operations():
            operation = found.ok()

            @settings(
                max_examples=60,
                deadline=None,
                derandomize=True,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            def check(case: object) -> None:
                asked.add((case.method, case.path))  # type: ignore[attr-defined]
                case.call_and_validate(  # type: ignore[attr-defined]
                    session=service.client, headers=sent, base_url="http://127.0.0.1:8321"
                )

            from hypothesis import given

            given(operation.as_strategy())(check)()
        assert len(asked) == 7
