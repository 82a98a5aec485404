"""Which failure gets which policy (DESIGN.md rule 10): wait, try again, or park. One place decides."""

from __future__ import annotations

from enum import Enum
from socket import gaierror

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.errors import Transient


class Policy(Enum):
    """What becomes of the work that failed."""

    #: The database cannot be reached or takes no work: nobody's fault, nothing is parked, the consumer waits.
    WAIT = "wait"
    #: Bounded tries with back-off, then parked.
    RETRY = "retry"
    #: A bug or a record that cannot be: parked at once.
    PARK = "park"


#: SQLSTATEs under which PostgreSQL takes no work now: connection, credentials, no such database, resources (disk, memory),
#: shutdown, system error, read-only. A transaction over its time limit (25P03, 25P04) is not among them.
_UNREACHABLE = ("08", "28", "3D000", "53", "57P", "58", "25006")


def policy_of(error: BaseException) -> Policy:
    """The policy of a failure of a handler, a fire or their transaction."""
    if isinstance(error, DBAPIError):
        return _policy_of_database(error)
    if isinstance(error, PoolTimeout | ConnectionError | TimeoutError | gaierror):
        return Policy.WAIT
    if isinstance(error, Transient):
        return Policy.RETRY
    return Policy.PARK


def _policy_of_database(error: DBAPIError) -> Policy:
    state = getattr(error.orig, "sqlstate", None)
    if isinstance(state, str):
        return Policy.WAIT if state.startswith(_UNREACHABLE) else Policy.RETRY
    # No SQLSTATE: the server never answered, or the driver refused a parameter, which a further try will not mend either.
    return Policy.WAIT if error.connection_invalidated or _is_lost(error.orig) else Policy.RETRY


def _is_lost(cause: BaseException | None) -> bool:
    """Whether there is a broken connection somewhere below; the dialect wraps asyncpg's errors in its own."""
    while cause is not None:
        if isinstance(cause, OSError | TimeoutError) or type(cause).__name__ in ("ConnectionDoesNotExistError", "InterfaceError"):
            return True
        cause = cause.__cause__
    return False


def class_of(error: BaseException) -> str:
    """What is written down of a failure: its class (and PostgreSQL's code), never its message, which may quote a patient."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    name = type(error).__name__
    return f"{name}:{state}" if isinstance(state, str) else name
