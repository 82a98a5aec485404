"""The pure parts of messaging: reading records, noticing a broker that forgot, what counts as confirmed."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import DomainError, Transient
from shared.messaging import codec, repair
from shared.messaging.cluster import Confirmed
from shared.messaging.confirm import is_confirmed
from shared.messaging.failures import Policy, policy_of
from shared.messaging.locks import lock_number
from shared.messaging.memory import Lease, merged
from shared.messaging.reading import read

LASTS = {"due.v1": {"0": 9}}
AT = TopicPartition("due.v1", 0)
BOTH = ("steadypath.notifier", "steadypath.adherence")


def record(key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]) -> ConsumerRecord[bytes, bytes]:
    return ConsumerRecord("due.v1", 0, 5, 0, 0, key, value, None, 0, 0, tuple(headers))


@given(
    st.none() | st.binary(),
    st.none() | st.binary(),
    st.lists(st.tuples(st.sampled_from(["ce_id", "ce_type", "ce_time", "repair", "x"]), st.none() | st.binary())),
)
def test_no_record_can_make_reading_raise(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    raw = record(key, value, headers)
    arrived = read(raw)
    assert arrived.failure is not None
    assert arrived.event is None
    # The same bytes have the same ids wherever they turn up again.
    assert (read(raw).event_id, read(raw).key) == (arrived.event_id, arrived.key)
    assert codec.repair_of(raw.headers) >= 0


def test_an_unreadable_record_parks_the_patient_whose_key_it_has() -> None:
    patient = uuid4()
    assert read(record(str(patient).encode(), b"{", [])).key == patient


@pytest.mark.parametrize(
    ("incarnation", "end", "forgot"), [("a", 10, False), ("a", 11, False), ("a", 9, True), ("a", 0, True), ("b", 10, True)]
)
def test_a_broker_that_forgot_is_noticed(incarnation: str, end: int, forgot: bool) -> None:
    assert repair.forgot(Lease(1, 0, None, "a", LASTS), incarnation, {AT: end}) is forgot


def test_the_first_broker_is_nobodys_successor() -> None:
    assert not repair.forgot(Lease(1, 0, None, None, {}), "a", {AT: 0})


@pytest.mark.parametrize(("first", "back"), [(8, True), (9, True), (10, False)])
def test_an_offset_given_twice_is_noticed(first: int, back: bool) -> None:
    assert repair.went_back(LASTS, {"due.v1": {"0": [first, first + 3]}}) is back
    assert not repair.went_back(LASTS, {"due.v1": {"1": [0, 0]}})


def test_last_offsets_move_by_partition() -> None:
    assert merged(LASTS, {"due.v1": {"1": [0, 3]}, "plans.v1": {"0": [4, 4]}}) == {
        "due.v1": {"0": 9, "1": 3},
        "plans.v1": {"0": 4},
    }
    assert LASTS == {"due.v1": {"0": 9}}


@pytest.mark.parametrize(
    ("slowest", "confirmed"),
    [(None, False), (Confirmed(9, 1), False), (Confirmed(10, 1), True), (Confirmed(10, 0), False), (Confirmed(99, 2), True)],
)
def test_confirmed_is_what_every_group_is_past_under_this_repair(slowest: Confirmed | None, confirmed: bool) -> None:
    progress = {BOTH[0]: {AT: Confirmed(50, 1)}, BOTH[1]: {AT: slowest} if slowest else {}}
    assert is_confirmed({"due.v1": {"0": [3, 9]}}, 1, progress) is confirmed


@pytest.mark.parametrize(
    ("error", "policy"),
    [
        (Transient("busy"), Policy.RETRY),
        (ConnectionRefusedError(), Policy.WAIT),
        (TimeoutError(), Policy.WAIT),
        (DomainError("zone", "unknown"), Policy.PARK),
        (KeyError("bug"), Policy.PARK),
        (FileNotFoundError(), Policy.PARK),
    ],
)
def test_each_failure_has_one_policy(error: Exception, policy: Policy) -> None:
    assert policy_of(error) is policy


def test_services_do_not_share_locks() -> None:
    assert lock_number("scheduler", UUID(int=1)) != lock_number("notifier", UUID(int=1))
    assert -(2**63) <= lock_number("scheduler", UUID(int=1)) < 2**63
