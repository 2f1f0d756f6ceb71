"""The interface over HTTP, and the page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse
from fastapi.security import HTTPBearer
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from tvsl import __version__
from tvsl.errors import first_problem, wrong_fields
from tvsl.html.rendering import service_page
from tvsl.serve.guard import (
    API,
    COOKIE,
    ICON,
    SESSION,
    SESSION_SECONDS,
    Guard,
    Sessions,
    refused,
    unforeseen,
)
from tvsl.serve.jobs import Jobs
from tvsl.serve.schemas import (
    MEDIA_TYPES,
    FileName,
    JobOptions,
    JobStatus,
    Limits,
    Login,
    Problem,
    Refusal,
    ServiceStatus,
    form_schema,
)
from tvsl.serve.uploads import read_form

_SAID: Final = {
    400: "The form is broken or cut off.",
    401: "The token is missing or wrong.",
    403: "The request comes from a page of another site.",
    404: "There is no such job or file.",
    408: "The upload takes too long.",
    409: "The job has ended.",
    413: "The body is too large.",
    415: "The body is of another type.",
    416: "The range lies outside the file.",
    421: "The service is not known by this name.",
    422: "A field of the request is wrong.",
    500: "An error that tvsl did not foresee.",
    503: "The queue is full; `Retry-After` says when to ask again.",
    507: "The upload cannot be stored.",
}
_CODES: Final = {400: "wrong_request", 404: "no_page", 405: "wrong_method", 416: "wrong_range"}


def create_app(jobs: Jobs, *, is_local: bool = True, starts_jobs: bool = True) -> Guard:
    """Build the application of a service.

    Args:
        jobs: Its queue, with the config.
        is_local: Whether only this computer reaches it: then it answers to this computer's own
            names alone.
        starts_jobs: Whether the application starts and ends the queue, as a server does with its
            lifespan; else the caller does.
    """
    config, sessions = jobs.config, Sessions()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with jobs:
            yield

    app = FastAPI(
        title="tvsl serve",
        version=__version__,
        description="Where is what you hear? One heat-map for each thing that sounds.",
        docs_url=None,  # these pages fetch from other sites
        redoc_url=None,
        lifespan=lifespan if starts_jobs else None,
        responses=_problems(403, 421, 500),
    )
    _add_handlers(app)
    _add_page(app)
    _add_session(app, jobs, sessions)
    app.include_router(_service_router(jobs))
    return Guard(app, config, sessions, is_local)


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Problem, "description": _SAID[status]} for status in statuses}


def _add_handlers(app: FastAPI) -> None:
    """Give every refusal one form."""

    async def refuse(_: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        return refused(error)

    async def refuse_request(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        where = ", ".join(wrong_fields(error))[:200]
        return refused(
            Refusal(
                422,
                "wrong_request",
                f"The request is wrong{f' at {where}' if where else ''}.",
                "See the description at /openapi.json.",
            )
        )

    async def refuse_http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = _CODES.get(error.status_code, "refused")
        refusal = Refusal(
            error.status_code, code, f"{error.detail}.", "See the description at /openapi.json."
        )
        refusal.headers = dict(error.headers or {})
        return refused(refusal)

    async def say_unforeseen(_: Request, __: Exception) -> Response:
        return refused(unforeseen())

    app.add_exception_handler(Refusal, refuse)
    app.add_exception_handler(RequestValidationError, refuse_request)
    app.add_exception_handler(HTTPException, refuse_http)
    app.add_exception_handler(Exception, say_unforeseen)


def _add_page(app: FastAPI) -> None:
    page = service_page()

    @app.get("/", include_in_schema=False)
    async def read_page() -> HTMLResponse:
        return HTMLResponse(page)

    @app.get(ICON, include_in_schema=False)
    async def read_icon() -> Response:  # browsers ask for one beside JSON and videos
        return Response(status_code=204)


def _add_session(app: FastAPI, jobs: Jobs, sessions: Sessions) -> None:
    @app.post(
        SESSION,
        status_code=204,
        tags=["session"],
        summary="Show the token, and be known by a cookie",
        responses=_problems(400, 401, 413, 422),
    )
    async def open_session(login: Login, request: Request) -> Response:
        if jobs.config.token is not None and not jobs.config.is_token(login.token):
            raise Refusal(401, "token_needed", "The token is wrong.", "Enter it again.")
        response = Response(status_code=204)
        if jobs.config.token is not None:
            response.set_cookie(
                COOKIE,
                sessions.open(),
                max_age=SESSION_SECONDS,
                httponly=True,
                samesite="strict",
                secure=request.url.scheme == "https",
            )
        return response


def _service_router(jobs: Jobs) -> APIRouter:
    config = jobs.config
    has_token = config.token is not None
    bearer = Depends(HTTPBearer(auto_error=False, description="The service's token."))
    router = APIRouter(
        prefix=API,
        dependencies=[bearer] if has_token else [],
        responses=_problems(401) if has_token else {},
    )
    _add_service(router, jobs)
    _add_jobs(router, jobs)
    return router


def _add_service(router: APIRouter, jobs: Jobs) -> None:
    config = jobs.config

    @router.get("/service", tags=["service"], summary="Model and limits of the service")
    async def read_service() -> ServiceStatus:
        return ServiceStatus(
            version=__version__,
            model=str(config.model["name_or_path"]).rpartition("/")[2],
            free=jobs.free,
            limits=Limits(
                upload_bytes=config.max_upload,
                media_seconds=config.max_media_seconds,
                job_seconds=config.max_job_seconds,
                waiting_jobs=config.max_waiting,
                keep_seconds=config.keep_seconds,
            ),
        )


def _add_jobs(router: APIRouter, jobs: Jobs) -> None:
    @router.post(
        "/jobs",
        status_code=202,
        tags=["jobs"],
        summary="Upload a video, or a picture and a sound, and start a job",
        responses=_problems(400, 408, 413, 415, 422, 503, 507),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"multipart/form-data": {"schema": form_schema()}},
            }
        },
    )
    async def start_job(request: Request, response: Response) -> JobStatus:
        job = jobs.reserve()
        async with AsyncExitStack() as undone:  # also where the other side has gone
            undone.push_async_callback(jobs.drop, job)
            form = await read_form(request, job.uploads, jobs.config.max_upload)
            jobs.submit(job, form.files, _options(form.options))
            undone.pop_all()
        response.headers["Location"] = f"{API}/jobs/{job.id}"
        return jobs.status(job)

    @router.get("/jobs/{name}", tags=["jobs"], summary="A job", responses=_problems(404))
    async def read_job(name: str) -> JobStatus:
        return jobs.status(jobs.find(name))

    @router.post(
        "/jobs/{name}/cancel",
        tags=["jobs"],
        summary="End a job that waits or is running",
        responses=_problems(404, 409),
    )
    async def cancel_job(name: str) -> JobStatus:
        job = jobs.find(name)
        await jobs.cancel(job)
        return jobs.status(job)

    @router.delete(
        "/jobs/{name}",
        status_code=204,
        tags=["jobs"],
        summary="Forget a job with all its files, and end it if need be",
        responses=_problems(404),
    )
    async def delete_job(name: str) -> Response:
        await jobs.delete(jobs.find(name))
        return Response(status_code=204)

    @router.get(
        "/jobs/{name}/files/{file}",
        tags=["jobs"],
        summary="A file of a result",
        response_class=FileResponse,
        responses={
            200: {"description": "The file.", "content": _file_content()},
            206: {"description": "The part that `Range` asks for.", "content": _file_content()},
            **_problems(404, 422),
        },
    )
    async def read_file(name: str, file: FileName) -> FileResponse:
        path = jobs.result_file(jobs.find(name), file)
        return FileResponse(path, media_type=MEDIA_TYPES[file])


def _file_content() -> dict[str, Any]:
    return {kind: {} for kind in sorted(set(MEDIA_TYPES.values()))}


def _options(fields: dict[str, str]) -> JobOptions:
    try:
        return JobOptions.model_validate(fields)
    except ValidationError as error:
        raise Refusal(
            422,
            "wrong_options",
            f"{first_problem(error)}.",
            "Change this field, and send it again.",
        ) from error
