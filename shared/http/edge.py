"""The outermost layer of the HTTP surface: size and NUL checks, the command of the request, the stored answer, the access log.

Plain ASGI, in the task of the request, so that the context it sets is the endpoint's. Everything that nobody handled ends here
as a problem: class and place in the log, never a traceback to the caller, never a query string in a line.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import tracing
from shared.defaults import default
from shared.http import commands
from shared.http.commands import Command, DoneBefore
from shared.http.problems import Refusal, is_passing, problem, unexpected
from shared.logs import Level, bound, log

if TYPE_CHECKING:
    from shared.health import Health
    from shared.runtime import Runtime

_QUIET_ROUTES = frozenset({"/livez", "/readyz", "/metrics"})
#: How a driver of simulated time asks whether anything is under way: nothing that anybody wants done, and asked all the time.
_STEP = "/simulation/step"


class Edge:
    """Wraps the application of one service."""

    def __init__(self, app: ASGIApp, runtime: Runtime, health: Health) -> None:
        self._app = app
        self._runtime = runtime
        self._store = runtime.store
        self._health = health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        correlation_id = uuid4()
        answer = _Answer(send, correlation_id)
        started = perf_counter()
        with bound(correlation_id=correlation_id), _traced(scope, correlation_id) as span:
            try:
                await self._serve(scope, receive, answer, correlation_id)
            finally:
                self._account(scope, answer, perf_counter() - started)
                span.set(method=scope["method"].lower(), route=route_of(scope), status=answer.status)

    async def _serve(self, scope: Scope, receive: Receive, answer: _Answer, correlation_id: UUID) -> None:
        try:
            self._let_in(scope)
            body = await _read(scope, receive)
            if scope["method"] in commands.METHODS:
                await self._command(scope, body, answer, correlation_id)
            else:
                await self._app(scope, _once(body, receive), answer.send)
        except Refusal as refusal:
            await answer.give(scope, receive, refusal.answer)
        except Exception as error:  # the edge: whatever it is, the caller gets an answer and the log its class
            log.failure("request failed", error, level="warning" if is_passing(error) else "error", route=route_of(scope))
            await answer.give(scope, receive, unexpected(error))

    def _let_in(self, scope: Scope) -> None:
        if not self._health.serving and scope["path"] not in _QUIET_ROUTES:
            raise Refusal(problem(503, "The service is starting or stopping.", headers={"Retry-After": "1"}))

    async def _command(self, scope: Scope, body: bytes, answer: _Answer, correlation_id: UUID) -> None:
        command = _command_of(scope, body, correlation_id)
        answer.hold = command.key is not None
        counted = not scope["path"].endswith(_STEP)
        self._runtime.commands_in_flight += counted
        try:
            with commands.acting_for(command):
                await self._app(scope, _once(body, None), answer.send)
            await self._keep(command, answer)
        except DoneBefore:
            before = await commands.answer_before(command, self._store)
            raise Refusal(before or problem(409, "The same command is being carried out.")) from None
        finally:
            self._runtime.commands_in_flight -= counted
            if counted:
                self._runtime.changed()
        await answer.release()

    async def _keep(self, command: Command, answer: _Answer) -> None:
        """The command has taken effect: a database that fails now must not turn its answer into an error."""
        if not answer.hold or answer.status >= 500:
            return
        try:
            await commands.keep_answer(command, answer.status, answer.body, self._store)
        except Exception as error:  # the effect stands; a repeat will be told "done before"
            log.failure("answer not kept", error, level="warning")

    def _account(self, scope: Scope, answer: _Answer, seconds: float) -> None:
        route = route_of(scope)
        method = str(scope["method"])
        metrics = self._runtime.metrics
        metrics.requests.labels(method, route, str(answer.status)).inc()
        metrics.request_seconds.labels(method, route).observe(seconds)
        if answer.replayed:
            metrics.replayed.inc()
        level: Level = "debug" if route in _QUIET_ROUTES or route.endswith(_STEP) else "info"
        log("request", level=level, method=method.lower(), route=route, status=answer.status, seconds=round(seconds, 4))


def _traced(scope: Scope, correlation_id: UUID) -> tracing.Span:
    """What may cause an event. A step of simulated time causes them all, and has a trace for none."""
    causes = scope["method"] in commands.METHODS and not scope["path"].endswith(_STEP)
    return tracing.request(scope["method"], correlation_id) if causes else tracing.untraced()


class _Answer:
    """What goes back: passed on as it comes, or held until the command's answer has been stored."""

    def __init__(self, send: Send, correlation_id: UUID) -> None:
        self._send = send
        self._correlation_id = correlation_id
        self._held: list[Message] = []
        self.hold = False
        self.status = 0
        self.body = b""
        self.replayed = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(raw=message.setdefault("headers", []))
            headers["X-Correlation-Id"] = str(self._correlation_id)
            headers.setdefault("Cache-Control", "no-store")
            headers["X-Content-Type-Options"] = "nosniff"
            self.replayed = "Idempotency-Replayed" in headers
        if not self.hold:
            await self._send(message)
            return
        self._held.append(message)
        self.body += message.get("body", b"")

    async def release(self) -> None:
        self.hold = False
        for message in self._held:
            await self._send(message)
        self._held.clear()

    async def give(self, scope: Scope, receive: Receive, response: Response) -> None:
        """Answers with this instead, unless an answer has already begun on the wire."""
        self._held.clear()
        if self.status and not self.hold:
            return
        self.hold = False
        await response(scope, receive, self.send)


async def _read(scope: Scope, receive: Receive) -> bytes:
    """The whole body. Raises Refusal: 413 over the limit, 400 for NUL, which no text column takes."""
    limit = _limit(scope)
    if b"\x00" in scope.get("path", "").encode("utf-8", "surrogateescape") or b"%00" in scope.get("query_string", b""):
        raise Refusal(problem(400, "The address holds a NUL character.", element="path", accepted="text without NUL characters"))
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Refusal(problem(400, "The request ended before its body."))
        size += len(message.get("body", b""))
        if size > limit:
            raise Refusal(problem(413, "The body is too large.", element="body", accepted=f"at most {limit} bytes"))
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            break
    body = b"".join(chunks)
    if b"\x00" in body or (b"\\u0000" in body and _is_json(scope)):
        raise Refusal(problem(422, "The body holds a NUL character.", element="body", accepted="text without NUL characters"))
    return body


def _limit(scope: Scope) -> int:
    """Bytes that a body may have: more where many commands come at once (`/scheduler/bulk/...`)."""
    is_bulk = scope["path"].split("/", 3)[2:3] == ["bulk"]
    return int(default("shared", "bulk_body_limit" if is_bulk else "request_body_limit"))


def _is_json(scope: Scope) -> bool:
    return "json" in Headers(scope=scope).get("content-type", "")


def _once(body: bytes, rest: Receive | None) -> Receive:
    """A receive that gives the body that was read, then whatever comes (a disconnect)."""
    given = False

    async def receive() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await rest() if rest is not None else {"type": "http.disconnect"}

    return receive


def _command_of(scope: Scope, body: bytes, correlation_id: UUID) -> Command:
    headers = Headers(scope=scope)
    return Command(
        method=scope["method"],
        path=scope["path"],
        query=scope.get("query_string", b""),
        body=body,
        key=commands.key_of(headers),
        reason=commands.reason_of(headers, body, headers.get("content-type", "")),
        correlation_id=correlation_id,
    )


def route_of(scope: Scope) -> str:
    """The route's pattern, `/notifier/patients/{raw}`; "/unknown" where none matched: a URL may hold a record number."""
    path = getattr(scope.get("route"), "path", None)
    if not isinstance(path, str):
        return "/unknown"
    prefix = "/" + scope["path"].lstrip("/").split("/", 1)[0]
    return path if path.startswith(prefix) else prefix + path
