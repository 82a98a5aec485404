"""Every error answer is problem+json (RFC 9457): which element was wrong and what would be accepted, never the value."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from sqlalchemy.exc import DataError, IntegrityError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from shared.accepted import Fault, faults_of
from shared.errors import DomainError
from shared.messaging.failures import Policy, policy_of

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """What an error answer looks like."""

    type: str
    title: str
    status: int
    detail: str
    #: The field, parameter or header in the caller's own terms.
    element: str | None = None
    #: What would be taken instead.
    accepted: str | None = None
    #: All faults of a body, where there is more than one.
    errors: list[Fault] | None = None


def problem(
    status: int, detail: str, *, slug: str | None = None, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    """The answer for one problem; `more` are element, accepted and errors."""
    title = HTTPStatus(status).phrase
    name = slug or title.lower().replace(" ", "-")
    body = Problem(type=f"urn:steadypath:problem:{name}", title=title, status=status, detail=detail, **more)
    return JSONResponse(body.model_dump(), status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


class Refusal(Exception):
    """Ends a request with this answer."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


def install(app: FastAPI) -> None:
    """Registers the handlers of everything that is the caller's to know."""
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(DomainError, _domain)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Refusal, _refusal)
    # Starlette answers with this and raises the error on: the edge logs it.
    app.add_exception_handler(Exception, _unexpected)


def unexpected(error: Exception) -> Response:
    """The answer to what nobody handled: 503 where trying again may help, 422 for text no database takes, else 500."""
    if is_passing(error):
        return problem(503, "Not possible at this moment; nothing was changed. Try again.", headers={"Retry-After": "1"})
    if isinstance(error, UnicodeEncodeError):
        return problem(
            422, "The request holds text that is not Unicode.", element="body", accepted="Unicode without lone surrogates"
        )
    return problem(500, "Something is wrong on our side. It has been logged under this answer's X-Correlation-Id.")


def is_passing(error: BaseException) -> bool:
    """Whether the database or a peer is away or busy, rather than something being wrong."""
    if isinstance(error, IntegrityError | DataError):
        return False
    return isinstance(error, OSError | TimeoutError) or policy_of(error) is not Policy.PARK


async def _refusal(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return error.answer


async def _unexpected(_request: Request, error: Exception) -> Response:
    return unexpected(error)


async def _domain(_request: Request, error: Exception) -> Response:
    assert isinstance(error, DomainError)
    return problem(error.status, error.reason, element=error.element, accepted=error.accepted)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    details = {404: "There is nothing at this address.", 405: "This address does not take that method."}
    detail = details.get(error.status_code, "The request could not be read.")
    return problem(error.status_code, detail, headers=error.headers)


async def _validation(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = faults_of(error)
    first = faults[0]
    return problem(
        422,
        f"{first.element} is not accepted.",
        slug="validation",
        element=first.element,
        accepted=first.accepted,
        errors=faults if len(faults) > 1 else None,
    )
