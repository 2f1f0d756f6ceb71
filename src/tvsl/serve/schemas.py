"""Forms of what the service takes and answers; its OpenAPI description is made of them."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tvsl.errors import VocabularyError
from tvsl.vocabularies import check_names, split_names

MOST_LABELS: Final = 50
"""Labels of one job."""
MOST_LETTERS: Final = 4_000
"""Characters of the labels of one job."""
MOST_SOURCES: Final = 16
"""Sources that may be asked for."""

JobState = Literal["waiting", "running", "done", "failed", "cancelled"]
FileName = Literal["index.html", "localization.json", "overlay.mp4", "clip.mp4"]

MEDIA_TYPES: Final[dict[FileName, str]] = {
    "index.html": "text/html",
    "localization.json": "application/json",
    "overlay.mp4": "video/mp4",
    "clip.mp4": "video/mp4",
}


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Problem(_Answer):
    """The reason for which something was not done, and a remedy."""

    code: str = Field(description="A word for programs, such as `busy` or `too_large`.")
    problem: str = Field(description="What is wrong, in one sentence.")
    remedy: str = Field(description="What helps, in one sentence.")


class Limits(_Answer):
    """Limits of the service."""

    upload_bytes: int = Field(description="Bytes of one upload.")
    media_seconds: float = Field(description="Length of a video or sound in seconds.")
    job_seconds: float = Field(description="Time of a job in seconds.")
    waiting_jobs: int = Field(description="Jobs that may wait.")
    keep_seconds: float = Field(description="Seconds for which a result is kept.")


class ServiceStatus(_Answer):
    """The service."""

    version: str = Field(description="Version of tvsl.")
    model: str = Field(description="The encoder.")
    free: int = Field(description="Jobs that would be taken now.")
    limits: Limits


class FoundSource(_Answer):
    """One class that was found."""

    label: str = Field(description="Its name.")
    seconds: float = Field(
        description="For how long it is seen to sound; of a picture, how much sound is heard."
    )
    peak: float = Field(description="Its highest score.")


class ResultFile(_Answer):
    """A file of a result."""

    name: FileName
    media_type: str
    bytes: int = Field(description="Size of the file.")
    url: str = Field(description="Its address at this service.")


class JobStatus(_Answer):
    """A job, from its upload to its end."""

    id: str = Field(description="Its name at this service; whoever knows it can read the result.")
    state: JobState
    place: int = Field(description="Jobs before it; 0 unless it waits.")
    stage: str | None = Field(description="What is being done; null unless it is running.")
    done: int = Field(description="Steps of the stage that are done.")
    total: int | None = Field(description="All steps of the stage; null if not known.")
    problem: Problem | None = Field(description="Why it failed or was cancelled.")
    found: list[FoundSource] = Field(description="What was found, when it is done.")
    notices: list[str] = Field(description="What the model says of the request and the files.")
    files: list[ResultFile] = Field(description="Files of the result, when it is done.")
    expires_in: float | None = Field(
        description="Seconds after which it is forgotten; null until it has ended."
    )


class Login(BaseModel):
    """Message of a browser that wants to be known by a cookie."""

    model_config = ConfigDict(extra="forbid")
    token: str = Field(max_length=512)


class JobOptions(BaseModel):
    """Options of a job, as fields of its form."""

    model_config = ConfigDict(extra="forbid")

    labels: str | None = Field(
        None,
        max_length=MOST_LETTERS,
        description="What sounds, separated by commas (by semicolons where names hold commas); "
        "detected when empty or left out.",
    )
    sources: int | None = Field(
        None, ge=1, le=MOST_SOURCES, description="How many sources to detect, without labels."
    )
    every: float | None = Field(
        None, ge=0.1, le=60, description="Seconds from moment to moment of a video [1]."
    )

    @field_validator("*", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        """A field that was left empty in a form is not given."""
        return None if isinstance(value, str) and not value.strip() else value

    @field_validator("labels")
    @classmethod
    def _are_names(cls, value: str | None) -> str | None:
        names = split_names([value or ""])
        if len(names) > MOST_LABELS:
            raise ValueError(f"{len(names)} labels are given, at most {MOST_LABELS} are taken")
        if names:
            try:
                check_names(names)
            except VocabularyError as error:
                raise ValueError(f"{error.problem} {error.remedy}") from error
        return value if names else None

    @model_validator(mode="after")
    def _agree(self) -> JobOptions:
        if self.labels is not None and self.sources is not None:
            raise ValueError("labels are given, so their number is not detected: leave sources out")
        return self

    @property
    def names(self) -> list[str] | None:
        """The labels; None where they are detected."""
        return None if self.labels is None else split_names([self.labels])


def form_schema() -> dict[str, Any]:
    """JSON Schema of the form that starts a job."""
    schema = JobOptions.model_json_schema()
    file = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
    files = {
        "video": {**file, "description": "A video with its sound."},
        "picture": {**file, "description": "A picture, with `sound` beside it."},
        "sound": {**file, "description": "The sound of the picture."},
    }
    properties = {
        name: {key: text for key, text in field.items() if key != "default"}
        for name, field in schema["properties"].items()
    }
    return {
        "type": "object",
        "title": "JobForm",
        "description": "A video, or a picture with a sound, and options.",
        "properties": {**files, **properties},
        "additionalProperties": False,
        "not": {"required": ["labels", "sources"]},
        "oneOf": [
            {"required": ["video"], "not": _any_of("picture", "sound")},
            {"required": ["picture", "sound"], "not": _any_of("video")},
        ],
    }


def _any_of(*names: str) -> dict[str, Any]:
    return {"anyOf": [{"required": [name]} for name in names]}


class Refusal(Exception):  # noqa: N818 - it is an answer, not a fault
    """An answer that refuses a request.

    Args:
        status: HTTP status.
        code: A word for programs.
        problem: What is wrong, in one sentence.
        remedy: What helps, in one sentence.
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        problem: str,
        remedy: str,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(problem)
        self.status = status
        self.headers = headers or {}
        self.content = Problem(code=code, problem=problem, remedy=remedy)
