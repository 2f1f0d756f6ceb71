"""Models on the hub, against a server of our own on this machine."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock
from urllib.parse import unquote, urlsplit

import huggingface_hub
import pytest

from tests.cli.running import run
from tests.media.media_makers import make_sound
from tests.small_model import RATE, random_head, scene, tone, write_bundle, write_picture
from tvsl import Localizer
from tvsl.errors import OutputError, TvslError, UsageError, WeightsError
from tvsl.loading import check_request
from tvsl.localization import Request
from tvsl.utils.hub import FILES, HubModel, hub_model, snapshot

FIRST, SECOND = "a" * 40, "b" * 40
LABELS = ["red star", "blue ring"]
SOUND = (tone(), RATE)


class Hub:
    """Server's content: files of commits, and the commit of each branch."""

    def __init__(self) -> None:
        self.commits: dict[str, dict[str, bytes]] = {}
        self.branches: dict[str, str] = {}
        self.asked: list[str] = []
        self.refusal: tuple[int, str] | None = None

    def add(self, commit: str, folder: Path, **more: bytes) -> None:
        files = [path for path in folder.rglob("*") if path.is_file()]
        content = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
        self.commits[commit] = {**content, **more}
        self.branches["main"] = commit


def handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

        def answer(self, content: bytes, code: int = 200, **headers: str) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(content)))
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path).strip("/").split("/")
            hub.asked.append("/".join(path))
            if hub.refusal is not None:
                code, name = hub.refusal
                return self.answer(b"{}", code, X_Error_Code=name)
            if path[:4] == ["api", "models", "user", "model"]:
                commit = self.commit(path[5])
                if commit is None:
                    return self.answer(b"{}", 404, X_Error_Code="RevisionNotFound")
                siblings = [
                    {"rfilename": name, "size": len(content)}
                    for name, content in hub.commits[commit].items()
                ]
                found = {"id": "user/model", "sha": commit, "siblings": siblings}
                return self.answer(json.dumps(found).encode(), Content_Type="application/json")
            if path[:3] == ["user", "model", "resolve"]:
                commit = self.commit(path[3])
                assert commit is not None
                content = hub.commits[commit]["/".join(path[4:])]
                etag = hashlib.sha256(content).hexdigest()
                return self.answer(content, ETag=f'"{etag}"', X_Repo_Commit=commit)
            return self.answer(b"{}", 404, X_Error_Code="RepoNotFound")

        do_HEAD = do_GET  # noqa: N815

        def commit(self, revision: str) -> str | None:
            known = hub.branches.get(revision, revision)
            return known if known in hub.commits else None

    return Handler


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return tuple(write_bundle(folder / str(n), random_head(seed=n), n) for n in (1, 2))  # type: ignore[return-value]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An empty cache, an empty folder to stand in, and a hub."""
    offered = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(offered))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("TVSL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    snapshot.cache_clear()
    yield offered
    server.shutdown()
    server.server_close()
    thread.join()
    snapshot.cache_clear()


def test_a_model_of_the_hub_answers_as_that_of_its_folder(
    hub: Hub, bundles: tuple[Path, Path], tmp_path: Path
) -> None:
    evil = {"evil.py": b"raise SystemExit", "pytorch_model.bin": b"\x80\x04.", "head/x.pkl": b"."}
    hub.add(FIRST, bundles[0], **evil)
    localizer = Localizer.from_pretrained("user/model", device="cpu")
    assert localizer.name == f"user/model@{FIRST}/tvsl (own head)"
    folder = Localizer.from_pretrained(bundles[0], device="cpu")
    found = [one.localize(scene(), SOUND, LABELS) for one in (localizer, folder)]
    assert found[0].to_dict()["sources"] == found[1].to_dict()["sources"]
    kept = [path for path in (tmp_path / "home" / "hub").rglob("*") if path.is_file()]
    assert not [path.name for path in kept if path.suffix in (".py", ".bin", ".pkl")]
    assert not any(name in asked for name in evil for asked in hub.asked)


def test_a_model_is_pinned_by_its_revision(hub: Hub, bundles: tuple[Path, Path]) -> None:
    hub.add(FIRST, bundles[0])
    hub.add(SECOND, bundles[1])
    hub.branches["v1"] = FIRST
    newest = Localizer.from_pretrained("user/model", device="cpu")
    pinned = Localizer.from_pretrained("user/model", revision="v1", device="cpu")
    assert [one.name.rpartition("/")[0] for one in (newest, pinned)] == [
        f"user/model@{SECOND}",
        f"user/model@{FIRST}",
    ]
    assert newest.encoder.fingerprint != pinned.encoder.fingerprint
    # What a result is called by is what is loaded again.
    again = Localizer.from_pretrained(pinned.name.rpartition("/")[0], device="cpu")
    assert again.encoder.fingerprint == pinned.encoder.fingerprint
    # In one process a branch stays what it was.
    hub.branches["v1"] = SECOND
    assert Localizer.from_pretrained("user/model@v1", device="cpu").name == pinned.name


def test_without_a_network(
    hub: Hub, bundles: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(FIRST, bundles[0])
    snapshot(HubModel("user/model"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    snapshot.cache_clear()
    assert snapshot(HubModel("user/model")).name == FIRST  # the last one of the branch
    assert snapshot(HubModel("user/model", FIRST)).name == FIRST
    for absent in (HubModel("user/model", SECOND), HubModel("user/other")):
        with pytest.raises(WeightsError, match=r"not here and cannot be fetched.*hf download"):
            snapshot(absent)


def test_a_commit_that_is_here_needs_no_network(hub: Hub, bundles: tuple[Path, Path]) -> None:
    hub.add(FIRST, bundles[0])
    snapshot(HubModel("user/model", FIRST))
    hub.asked.clear()
    snapshot.cache_clear()
    assert snapshot(HubModel("user/model", FIRST)).name == FIRST
    assert hub.asked == []


def test_an_interrupted_download_is_not_taken_for_a_model(
    hub: Hub, bundles: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(FIRST, bundles[0])
    original = huggingface_hub.HfApi.hf_hub_download

    def broken(self: Any, repo: str, name: str, **options: Any) -> str:
        if name == FILES[-1]:
            raise ConnectionError("broken")
        return original(self, repo, name, **options)

    with mock.patch.object(huggingface_hub.HfApi, "hf_hub_download", broken):
        with pytest.raises(WeightsError, match="broken"):
            snapshot(HubModel("user/model"))
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
        with pytest.raises(WeightsError, match="cannot be fetched"):
            snapshot(HubModel("user/model", FIRST))


@pytest.mark.parametrize(
    ("refusal", "says"),
    [
        ((401, "RepoNotFound"), "no model user/model@v9 here or on the hub"),
        ((403, "GatedRepo"), "asks for consent"),
        ((404, "RevisionNotFound"), "has no revision 'v9'"),
        ((500, ""), "cannot be fetched"),
    ],
)
def test_refusals_are_told_apart(hub: Hub, refusal: tuple[int, str], says: str) -> None:
    hub.refusal = refusal
    with pytest.raises(WeightsError, match=says):
        snapshot(HubModel("user/model", "v9"))


def test_other_models_are_refused(hub: Hub, bundles: tuple[Path, Path], tmp_path: Path) -> None:
    hub.commits = {FIRST: {"config.json": b"{}", "pytorch_model.bin": b"."}}
    hub.branches = {"main": FIRST}
    with pytest.raises(WeightsError, match=r"lacks model\.safetensors"):
        snapshot(HubModel("user/model"))
    hub.add(FIRST, bundles[0], **{"tokenizer.json": b" " * (1 << 24) + b" "})
    with pytest.raises(WeightsError, match=r"tokenizer\.json .* too large"):
        snapshot(HubModel("user/model"))
    hub.commits[FIRST] = {"config.json": b'{"model_type": "bert"}', "model.safetensors": b"x" * 9}
    with pytest.raises(WeightsError) as caught:
        Localizer.from_pretrained("user/model")
    assert FIRST in str(caught.value.path)


def test_what_is_here_goes_before_the_hub(
    hub: Hub, bundles: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hub_model("user/model") == HubModel("user/model")
    assert hub_model("user/model@v1") == HubModel("user/model", "v1")
    assert hub_model("user/model@refs/pr/1") == HubModel("user/model", "refs/pr/1")
    for path in (
        *("weights/model.pt", "./user/model", "/user/model", "user/model/head", "../a/b", "model"),
        *("us..er/model", "user/mo--del", "user/model.git", "user/model-"),
        *("user/.model", "a b/c", "user/", "https://x/y", "user/model@", "-u/model"),
    ):
        assert hub_model(path) is None
    assert hub_model(Path("user/model")) is None
    Path("user").symlink_to(bundles[0].parent)
    assert hub_model("user/1") is None
    assert Localizer.from_pretrained("user/1").name == "1/tvsl (own head)"
    assert hub_model("user/model") is None  # a wrong path in a folder that is here
    assert hub_model("user/model@main") == HubModel("user/model", "main")
    assert hub.asked == []


@pytest.mark.parametrize("name", ["mini", "absent.pt", "user/model@v1"])
def test_a_revision_is_of_the_hub(hub: Hub, name: str) -> None:
    with pytest.raises(UsageError, match="revision"):
        Localizer.from_pretrained(name, revision="v2")


def test_a_model_of_the_hub_on_the_command_line(
    hub: Hub, bundles: tuple[Path, Path], tmp_path: Path
) -> None:
    hub.add(FIRST, bundles[0])
    picture = write_picture(tmp_path / "a.png")
    sound = make_sound(tmp_path / "a.wav", tone(), RATE)
    options = ("--audio", sound, "--labels", "red star", "--outputs", "json", "-o", "out")
    ran = run("localize", picture, *options, "--model", "user/model")
    assert ran.code == 0, ran.err
    content = json.loads(Path("out/localization.json").read_text())
    assert content["model"] == f"user/model@{FIRST}/tvsl (own head)"
    ran = run("localize", picture, *options, "--force", "--model", "user/model@v9")
    assert ran.code == 1
    assert "has no revision 'v9'" in ran.err
    assert ran.err.count("\n") == 1
    with pytest.raises(TvslError, match="v9"):
        check_request("user/model@v9", Request(["red star"]))


def test_a_localizer_is_pushed(bundles: tuple[Path, Path]) -> None:
    localizer = Localizer.from_pretrained(bundles[0], device="cpu")
    pushed: dict[str, Any] = {}

    def upload(self: Any, **options: Any) -> SimpleNamespace:
        names = [path for path in options["folder_path"].rglob("*") if path.is_file()]
        pushed.update(options, files={str(p.relative_to(options["folder_path"])) for p in names})
        return SimpleNamespace(oid=SECOND)

    api = huggingface_hub.HfApi
    with (
        mock.patch.object(api, "create_repo", autospec=True) as created,
        mock.patch.object(api, "upload_folder", upload),
    ):
        name = localizer.push_to_hub("user/model", private=True, message="the first")
    assert name == f"user/model@{SECOND}"
    assert created.call_args.args[1:] == ("user/model",)
    assert created.call_args.kwargs == {"private": True, "exist_ok": True}
    # The records are of the folder, not of the model, and stay where they are.
    records = {"tvsl.json", "head/tvsl.json"}
    assert pushed["files"] == set(pushed["allow_patterns"]) | records
    assert not records & set(pushed["allow_patterns"])
    assert {"config.json", "model.safetensors", "head/model.safetensors"} <= pushed["files"]
    assert (pushed["commit_message"], pushed["revision"]) == ("the first", None)
    for wrong in ("model", "user/model@v1", "a/b/c", "../a"):
        with pytest.raises(UsageError, match="user/model"):
            localizer.push_to_hub(wrong)


def test_a_push_without_a_network_says_so(
    hub: Hub, bundles: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    localizer = Localizer.from_pretrained(bundles[0], device="cpu")
    with pytest.raises(OutputError, match=r"cannot be written to the hub.*log in"):
        localizer.push_to_hub("user/model", token="hf_none")
