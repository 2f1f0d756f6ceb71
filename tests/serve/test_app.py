"""The interface: jobs from upload to deletion, limits, and an answer of one form to all errors."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.html.html_page import Page
from tests.serve.service import FAKE, JOBS, Service, running_service
from tvsl.errors import TvslError
from tvsl.serve import jobs
from tvsl.serve.config import ServeConfig
from tvsl.serve.schemas import JobStatus, Problem


def test_a_job_from_upload_to_deletion(service: Service, client: TestClient) -> None:
    name = service.start(content=b"x" * 5_000)
    found = service.wait(name, "done")
    JobStatus.model_validate(found)
    assert found["found"] == [{"label": "dog barking", "seconds": 2.0, "peak": 0.5}]
    assert found["notices"] == ["a notice"]
    assert 0 < found["expires_in"] <= service.jobs.config.keep_seconds
    files = {file["name"]: file for file in found["files"]}
    assert set(files) == {"index.html", "localization.json", "overlay.mp4"}
    content = client.get(files["localization.json"]["url"]).json()
    assert content == {"sizes": {"video": 5_000}, "files": {"video": "a.mp4"}}
    page = client.get(files["index.html"]["url"])
    assert page.headers["content-type"].startswith("text/html")
    part = client.get(files["overlay.mp4"]["url"], headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")
    assert not any("upload" in path for path in service.left())
    assert client.delete(f"{JOBS}/{name}").status_code == 204
    assert client.get(f"{JOBS}/{name}").status_code == 404
    assert client.get(files["index.html"]["url"]).status_code == 404
    assert service.left() == []


def test_a_picture_and_its_sound(service: Service, client: TestClient) -> None:
    files = {"picture": ("a.png", b"12"), "sound": ("a.png", b"345")}
    answer = client.post(JOBS, files=files, data={"labels": "dog;cat, small", "sources": ""})
    found = service.wait(answer.json()["id"], "done")
    url = next(file["url"] for file in found["files"] if file["name"] == "localization.json")
    assert client.get(url).json() == {
        "sizes": {"picture": 2, "sound": 3},
        "files": {"picture": "a.png", "sound": "_a.png"},
    }
    assert client.get(url.replace("localization.json", "overlay.mp4")).status_code == 404


def test_progress_is_told(service: Service) -> None:
    name = service.start("slowly")
    seen = set()
    while (found := service.status(name))["state"] != "done":
        if found["stage"] == "Localizing":
            seen.add((found["done"], found["total"]))
        time.sleep(0.05)
    assert len(seen) >= 2
    assert {total for _, total in seen} <= {4, None}


def test_a_failed_job_says_why_and_leaves_nothing(service: Service) -> None:
    found = service.wait(service.start("fail"), "failed")
    assert found["problem"] == {
        "code": "unreadable",
        "problem": "It is broken.",
        "remedy": "Mend it.",
    }
    assert service.left() == []


@pytest.mark.parametrize(
    ("word", "said"), [("die", "exit code 3"), ("babble", "it said what is no answer")]
)
def test_a_worker_that_ends_fails_its_job_and_the_next_works(
    service: Service, word: str, said: str
) -> None:
    found = service.wait(service.start(word), "failed")
    assert found["problem"]["code"] == "worker_ended"
    assert said in found["problem"]["problem"]
    assert service.left() == []
    service.wait(service.start(), "done")


def test_an_answer_that_is_none_of_the_known_fails_its_job_alone(service: Service) -> None:
    found = service.wait(service.start("say little"), "failed")
    assert found["problem"]["code"] == "unforeseen"
    service.wait(service.start(), "done")


@pytest.mark.parametrize(("word", "state"), [("fail", "failed"), (None, "done")])
def test_a_job_has_ended_once_its_files_are_gone(
    service: Service, monkeypatch: pytest.MonkeyPatch, word: str | None, state: str
) -> None:
    seen = []
    remove = jobs._remove

    async def slow(folder: Path) -> None:
        await asyncio.sleep(0.1)
        seen.append(
            service.jobs.find(folder.name if state == "failed" else folder.parent.name).state
        )
        await remove(folder)

    monkeypatch.setattr(jobs, "_remove", slow)
    name = service.start(word)
    service.wait(name, state)
    assert seen == ["running"]
    assert not any("upload" in path for path in service.left())


def test_a_job_that_runs_is_cancelled(service: Service, client: TestClient) -> None:
    name = service.start("hang")
    service.wait(name, "running")
    second = service.start()
    assert service.status(second)["place"] == 1
    answer = client.post(f"{JOBS}/{name}/cancel")
    assert answer.status_code == 200
    assert answer.json()["state"] == "cancelled"
    service.wait(second, "done")
    assert not any(name in path for path in service.left())
    again = client.post(f"{JOBS}/{name}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "ended")


def test_a_job_that_waits_is_cancelled_or_deleted(service: Service, client: TestClient) -> None:
    first = service.start("hang")
    second, third = service.start(), service.start()
    service.wait(first, "running")
    assert client.post(f"{JOBS}/{second}/cancel").json()["state"] == "cancelled"
    assert client.delete(f"{JOBS}/{third}").status_code == 204
    assert client.delete(f"{JOBS}/{first}").status_code == 204
    assert service.left() == []
    service.wait(service.start(), "done")


def test_a_full_queue_says_when_to_ask_again(service: Service, client: TestClient) -> None:
    first = service.start("hang")
    service.start()
    service.start()
    assert client.get("/api/v1/service").json()["free"] == 0
    answer = client.post(JOBS, files={"video": ("a.mp4", b"video")})
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert int(answer.headers["retry-after"]) > 0
    client.post(f"{JOBS}/{first}/cancel")
    service.start()


def test_a_job_has_a_time_limit(tmp_path: Path) -> None:
    config = ServeConfig(max_job_seconds=1.5)
    with running_service(config, tmp_path / "service", FAKE) as service:
        began = time.monotonic()
        found = service.wait(service.start("hang"), "failed")
        assert time.monotonic() - began < 15
        assert found["problem"]["code"] == "too_long"
        service.wait(service.start(), "done")


def test_results_expire_and_only_some_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tvsl.serve.jobs.MOST_RESULTS", 2)
    config = ServeConfig(keep_seconds=2)
    with running_service(config, tmp_path / "service", FAKE) as service:
        names = [service.start() for _ in range(3)]
        end = time.monotonic() + 30
        gone = f"{JOBS}/{names[0]}"
        while service.client.get(gone).status_code != 404:
            assert time.monotonic() < end
            time.sleep(0.05)
        while service.left():
            assert time.monotonic() < end
            time.sleep(0.05)


def test_a_model_that_cannot_be_loaded_stops_the_service(tmp_path: Path) -> None:
    config = ServeConfig(model={"name_or_path": "missing"})
    with (
        pytest.raises(TvslError, match="No such model"),
        running_service(config, tmp_path / "service", FAKE),
    ):
        pass
    absent = (sys.executable, "-c", "raise SystemExit(4)")
    with (
        pytest.raises(TvslError, match="exit code 4"),
        running_service(ServeConfig(), tmp_path / "other", absent),
    ):
        pass


def form(*parts: tuple[str, bytes], end: bytes = b"--x--\r\n") -> bytes:
    body = b"".join(
        b"--x\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + data + b"\r\n"
        for head, data in parts
    )
    return body + end


VIDEO = ('name="video"; filename="a.mp4"', b"video")
HOSTILE = {
    "no form": ("application/json", b"{}", 415),
    "no boundary": ("multipart/form-data", form(VIDEO), 415),
    "a long boundary": ("multipart/form-data; boundary=" + "x" * 300, form(VIDEO), 415),
    "nothing": ("multipart/form-data; boundary=x", b"", 400),
    "cut off": ("multipart/form-data; boundary=x", form(VIDEO, end=b""), 400),
    "cut in a header": ("multipart/form-data; boundary=x", form(VIDEO)[:30], 400),
    "garbage": ("multipart/form-data; boundary=x", b"\0\xff" * 500, 400),
    "no file": ("multipart/form-data; boundary=x", form(), 422),
    "an empty form": ("multipart/form-data; boundary=x", form(('name="labels"', b"dog")), 422),
    "twice": ("multipart/form-data; boundary=x", form(VIDEO, VIDEO), 422),
    "many parts": ("multipart/form-data; boundary=x", form(*[VIDEO] * 50), 422),
    "all kinds": (
        "multipart/form-data; boundary=x",
        form(VIDEO, ('name="sound"; filename="a"', b"1")),
        422,
    ),
    "an unknown field": (
        "multipart/form-data; boundary=x",
        form(VIDEO, ('name="command"', b"rm")),
        422,
    ),
    "a long field": (
        "multipart/form-data; boundary=x",
        form(VIDEO, ('name="labels"', b"a" * 90_000)),
        422,
    ),
    "no text": (
        "multipart/form-data; boundary=x",
        form(VIDEO, ('name="labels"', b"\xff\xfe")),
        422,
    ),
    "a label twice": (
        "multipart/form-data; boundary=x",
        form(VIDEO, ('name="labels"', b"dog, Dog")),
        422,
    ),
    "many labels": (
        "multipart/form-data; boundary=x",
        form(VIDEO, ('name="labels"', b",".join(b"a%d" % n for n in range(60)))),
        422,
    ),
    "no number": (
        "multipart/form-data; boundary=x",
        form(VIDEO, ('name="every"', b"NaN")),
        422,
    ),
    "labels and their number": (
        "multipart/form-data; boundary=x",
        form(VIDEO, ('name="labels"', b"dog"), ('name="sources"', b"2")),
        422,
    ),
    "a long header": (
        "multipart/form-data; boundary=x",
        form((f'name="video"; filename="{"a" * 20_000}"', b"video")),
        (400, 422),
    ),
    "too large": ("multipart/form-data; boundary=x", form((VIDEO[0], b"x" * 100_001)), 413),
    "far too large": ("multipart/form-data; boundary=x", form((VIDEO[0], b"x" * 999_999)), 413),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_forms_are_refused_and_leave_nothing(
    service: Service, client: TestClient, name: str
) -> None:
    kind, body, status = HOSTILE[name]
    answer = client.post(JOBS, content=body, headers={"Content-Type": kind})
    assert answer.status_code in (status if isinstance(status, tuple) else (status,)), answer.text
    Problem.model_validate(answer.json())
    assert service.left() == []
    assert client.get("/api/v1/service").json()["free"] == 3


def test_an_upload_is_stopped_while_it_arrives(service: Service, client: TestClient) -> None:
    sent = 0

    def chunks() -> object:
        nonlocal sent
        yield form((VIDEO[0], b""), end=b"")[:-2]
        for _ in range(1_000):
            sent += 50_000
            assert sum((service.folder / path).stat().st_size for path in service.left()) < 150_000
            yield b"x" * 50_000

    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = client.post(JOBS, content=chunks(), headers=kind)  # type: ignore[arg-type]
    assert answer.status_code == 413
    assert service.left() == []


def test_a_slow_upload_is_given_up(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    from starlette.requests import Request

    from tvsl.serve import uploads
    from tvsl.serve.schemas import Refusal

    monkeypatch.setattr(uploads, "SILENT_SECONDS", 0.05)

    async def never() -> dict[str, object]:
        await asyncio.sleep(60)
        raise AssertionError

    headers = [(b"content-type", b"multipart/form-data; boundary=x")]
    request = Request({"type": "http", "headers": headers, "method": "POST"}, never)
    with pytest.raises(Refusal) as caught:
        asyncio.run(uploads.read_form(request, service.folder, 100))
    assert caught.value.status == 408


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", f"{JOBS}/{'0' * 32}", 404),
        ("GET", f"{JOBS}/..%2f..%2fetc", 404),
        ("GET", f"{JOBS}/x/files/..%2fpasswd", 404),
        ("GET", f"{JOBS}/x/files/passwd", 422),
        ("POST", f"{JOBS}/x/cancel", 404),
        ("DELETE", f"{JOBS}/x", 404),
        ("PUT", JOBS, 405),
        ("GET", "/docs", 404),
        ("POST", "/api/v1/session", 422),
    ],
)
def test_every_error_has_one_form(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    Problem.model_validate(answer.json())
    assert (status == 405) == ("allow" in answer.headers)


def test_large_bodies_elsewhere_are_refused(client: TestClient) -> None:
    answer = client.post("/api/v1/session", content=b"{" + b" " * 100_000)
    assert answer.status_code == 413


def test_the_description_names_all_answers(client: TestClient) -> None:
    found = client.get("/openapi.json").json()
    post = found["paths"][JOBS]["post"]
    assert {"202", "400", "408", "413", "415", "422", "503", "507"} <= set(post["responses"])
    schema = post["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert {"video", "picture", "sound", "labels"} <= set(schema["properties"])
    for status, answer in post["responses"].items():
        (content,) = answer["content"].values()
        name = content["schema"]["$ref"].rpartition("/")[2]
        assert name == ("JobStatus" if status == "202" else "Problem")


def test_the_page_asks_for_nothing_of_other_sites(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    page = Page(answer.text)
    for _, attributes in page.elements:
        for key in ("src", "href", "action"):
            value = attributes.get(key, "data:")
            assert value.startswith(("data:", "#")) or value == "/openapi.json"
    assert "http" not in "".join(page.texts["script"] + page.texts["style"])
    (policy,) = [one["content"] for one in page.all("meta") if "http-equiv" in one]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "unsafe" not in policy
    for one in page.all("input"):
        assert any(label["for"] == one["id"] for label in page.all("label")), one
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


def test_results_say_how_they_may_be_used(service: Service, client: TestClient) -> None:
    found = service.wait(service.start(), "done")
    for file in found["files"]:
        headers = client.get(file["url"]).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["content-type"].startswith(file["media_type"])


def test_status_is_plain_json(service: Service) -> None:
    json.dumps(service.status(service.start()), allow_nan=False)
