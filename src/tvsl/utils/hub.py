"""Models on Hugging Face's hub: named files of a pinned revision, of types that run no code."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from tvsl.errors import OutputError, TvslError, UsageError, WeightsError, shown
from tvsl.utils.files import LARGEST_CONFIG, home
from tvsl.utils.lazy import optional
from tvsl.utils.model_folder import (
    CONFIG_FILE,
    HEAD_FOLDER,
    LARGEST_TENSORS,
    OWN_FILES,
    TENSORS_FILE,
)

FILES: Final = tuple(
    f"{folder}{name}"
    for folder in (f"{HEAD_FOLDER}/", "")
    for name in (*(one for one in OWN_FILES if one != CONFIG_FILE), CONFIG_FILE)
)
"""Names of the files that are fetched, no others ever; where the last one is, all are."""
_BRANCH: Final = "main"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_NAME = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(?P<revision>[A-Za-z0-9][\w./-]*))?",
    re.ASCII,
)
_FORBIDDEN = re.compile(r"\.\.|--|\.git$|[-.](?:/|$)")  # by the hub, in names
_FILE_TYPES = frozenset((".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".py", ".json", ".npz"))
_LOG_IN: Final = "`hf auth login`"


@dataclass(frozen=True)
class HubModel:
    """A model on the hub.

    Attributes:
        repo: Its name, ``user/model``.
        revision: A commit, a tag or a branch; the hub's main branch when None.
    """

    repo: str
    revision: str | None = None

    def __str__(self) -> str:
        return self.repo if self.revision is None else f"{self.repo}@{self.revision}"


def hub_model(name: str | Path, revision: str | None = None) -> HubModel | None:
    """Recognize a model on the hub by its name; None for anything else.

    What exists here goes first. ``folder/model``, where there is a folder of the first name, and
    names of files are paths, whether or not they exist; with a revision they are the hub's.

    Args:
        name: ``user/model`` or ``user/model@revision``.
        revision: The revision, if it is not in the name.
    """
    found = _NAME.fullmatch(name) if isinstance(name, str) else None
    if found is None or os.path.lexists(found[0]) or _FORBIDDEN.search(found["repo"]):
        return None
    own = found["revision"] or revision
    path = Path(found["repo"])
    if own is None and (path.parent.is_dir() or path.suffix in _FILE_TYPES):
        return None
    return HubModel(found["repo"], own)


@cache
def snapshot(model: HubModel) -> Path:
    """Folder of a model of the hub, fetched where it is absent; the same as long as a process runs.

    Of a commit that was fetched before no network is needed; of a branch or a tag the last one that
    was fetched is taken where there is no network.

    Returns:
        The folder, in ``hub`` of the cache; its name is that of the commit.

    Raises:
        WeightsError: There is no such model, it is none of tvsl, or it cannot be had.
        UsageError: huggingface_hub is not installed.
    """
    library, api = _library()
    revision = model.revision or _BRANCH
    folder = home() / "hub"

    def kept() -> Path | None:
        """The snapshot that was fetched before."""
        found = library.try_to_load_from_cache(
            model.repo, CONFIG_FILE, cache_dir=folder, revision=revision
        )
        return Path(found).parent if isinstance(found, str) else None

    if _COMMIT.fullmatch(revision) and (known := kept()) is not None:
        return known
    with _explained(model, kept) as outcome:
        info = api.model_info(model.repo, revision=revision, files_metadata=True)
        for name in _chosen(model, info.siblings or ()):
            # The last one keeps the name of the branch; the others are of the same commit.
            of = revision if name == CONFIG_FILE else info.sha
            path = api.hf_hub_download(model.repo, name, revision=of, cache_dir=folder)
        outcome.append(Path(path).parent)
        if outcome[0].name != info.sha:
            raise WeightsError(
                f"The model {model} was changed on the hub while it was fetched.", "Try again."
            )
    return outcome[0]


def commit(model: HubModel) -> HubModel:
    """The model at the commit that its revision means."""
    return HubModel(model.repo, snapshot(model).name)


def upload(
    folder: Path,
    repo: str,
    message: str,
    revision: str | None = None,
    private: bool | None = None,
    token: str | None = None,
) -> HubModel:
    """Write a model's folder to the hub, in one commit.

    Args:
        folder: The folder; files of other names stay here.
        repo: Name of the model, ``user/model``; it is made where there is none.
        message: Message of the commit.
        revision: The branch; the hub's main branch when None.
        private: Whether a model that is made is private; as the account says when None.
        token: The user's token; that of the login when None.

    Raises:
        UsageError: huggingface_hub is not installed, or this is no name of a model.
        OutputError: It cannot be written.
    """
    found = _NAME.fullmatch(repo)
    if found is None or found["revision"] is not None:
        raise UsageError(f"{shown(repo)} is no name on the hub.", "Give user/model.")
    library, api = _library(token)
    names = [name for name in FILES if (folder / name).is_file()]
    try:
        api.create_repo(repo, private=private, exist_ok=True)
        made = api.upload_folder(
            repo_id=repo,
            folder_path=folder,
            commit_message=message,
            revision=revision,
            allow_patterns=names,
        )
    except _errors(library) as error:
        raise OutputError(
            f"{repo} cannot be written to the hub ({_reason(error)}).",
            f"Check the name and the network, and log in with a token that may write: {_LOG_IN}.",
        ) from error
    return HubModel(repo, made.oid)


def _library(token: str | None = None) -> tuple[Any, Any]:
    """huggingface_hub, and its client for the hub that the environment names now."""
    library = optional("huggingface_hub", "hub")
    endpoint = os.environ.get("HF_ENDPOINT")
    return library, library.HfApi(endpoint=endpoint, token=token, library_name="tvsl")


def _errors(library: Any) -> tuple[type[Exception], ...]:
    """Errors of the client and of the library by which it talks, which depends on its version."""
    return (OSError, ValueError, *library.errors.HfHubHTTPError.__bases__)


@contextmanager
def _explained(model: HubModel, kept: Any) -> Iterator[list[Path]]:
    """Turn the client's errors into ours; without a network what was fetched before is taken.

    Yields:
        A list for the folder; it holds one afterwards.
    """
    library, _ = _library()
    outcome: list[Path] = []
    by_hand = (
        f"`hf download {model.repo} --local-dir FOLDER` where there is a network, and give FOLDER"
    )
    try:
        yield outcome
    except TvslError:
        raise
    except library.errors.GatedRepoError as error:
        raise WeightsError(
            f"The model {model} asks for consent before it is given out.",
            f"Consent on its page on the hub, and log in: {_LOG_IN}.",
        ) from error
    except library.errors.RepositoryNotFoundError as error:
        raise WeightsError(
            f"There is no model {model} here or on the hub, or it is private.",
            f"Check the name; log in for a private one: {_LOG_IN}.",
        ) from error
    except library.errors.RevisionNotFoundError as error:
        raise WeightsError(
            f"The model {model.repo} has no revision {shown(model.revision)}.",
            "Give a commit, a tag or a branch of it.",
        ) from error
    except _errors(library) as error:
        known = kept()
        if known is None:
            raise WeightsError(
                f"The model {model} is not here and cannot be fetched from the hub "
                f"({_reason(error)}).",
                f"Check the name and the network; or {by_hand}.",
            ) from error
        outcome[:] = [known]


def _reason(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}{f': {shown(text)}' if text else ''}"


def _chosen(model: HubModel, siblings: Any) -> list[str]:
    """Files of a model that are fetched, if it is one of tvsl."""
    sizes = {one.rfilename: one.size or 0 for one in siblings}
    chosen = [name for name in FILES if name in sizes]
    if TENSORS_FILE not in chosen or CONFIG_FILE not in chosen:
        raise WeightsError(
            f"{model} on the hub is no model of tvsl: it lacks "
            f"{TENSORS_FILE if TENSORS_FILE not in chosen else CONFIG_FILE}.",
            "Give one that `Localizer.push_to_hub` wrote; weights of other types are never read.",
        )
    for name in chosen:
        most = LARGEST_TENSORS if name.endswith(TENSORS_FILE) else LARGEST_CONFIG
        if sizes[name] > most:
            raise WeightsError(
                f"{name} of {model} on the hub is too large: {most} bytes are allowed.",
                "Give another model.",
            )
    return chosen
