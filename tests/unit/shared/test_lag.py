"""How far behind: in records, and since when the oldest of them has been waiting."""

from __future__ import annotations

from aiokafka import TopicPartition

from shared.messaging.lag import Behind, Lag

A, B, OTHER = TopicPartition("due.v1", 0), TopicPartition("due.v1", 1), TopicPartition("plans.v1", 0)


def test_what_is_handled_is_not_behind() -> None:
    lag = Lag()
    lag.look({A: 5, B: 0}, {}, {A, B}, now=100)
    assert lag.by_topic({A: 5}, now=900) == {"due.v1": Behind(0, 0.0)}


def test_seconds_count_from_the_look_that_first_saw_the_oldest_record_not_handled() -> None:
    lag = Lag()
    for now, end in ((100, 5), (105, 5), (110, 8), (115, 9)):
        lag.look({A: end}, {}, {A}, now=now)
    assert lag.by_topic({A: 4}, now=130)["due.v1"] == Behind(5, 30)
    assert lag.by_topic({A: 5}, now=130)["due.v1"] == Behind(4, 20)
    assert lag.by_topic({A: 8}, now=130)["due.v1"] == Behind(1, 15)
    assert lag.by_topic({A: 9}, now=130)["due.v1"] == Behind()


def test_a_steady_flow_that_is_kept_up_with_never_grows_old() -> None:
    lag = Lag()
    for step in range(1000):
        lag.look({A: step * 100}, {A: step * 100 - 50}, {A}, now=step * 5)
        assert lag.by_topic({A: step * 100 - 50}, now=step * 5).get("due.v1", Behind()).seconds <= 5


def test_a_topic_is_as_late_as_its_latest_partition_and_others_count_for_nobody() -> None:
    lag = Lag()
    lag.look({A: 2, B: 1, OTHER: 7}, {}, {A, B}, now=0)
    lag.look({A: 2, B: 4, OTHER: 7}, {}, {A, B}, now=50)
    assert lag.by_topic({A: 0, B: 1}, now=60) == {"due.v1": Behind(5, 60)}


def test_partitions_given_away_are_forgotten() -> None:
    lag = Lag()
    lag.look({A: 5}, {}, {A}, now=0)
    lag.look({A: 5}, {}, set(), now=5)
    assert lag.by_topic({}, now=90) == {}


def test_another_log_begins_anew() -> None:
    lag = Lag()
    lag.look({A: 500}, {}, {A}, now=0)
    lag.look({A: 3}, {}, {A}, now=60)
    assert lag.by_topic({A: 1}, now=70)["due.v1"] == Behind(2, 10)


def test_an_outage_of_hours_is_kept_in_little_room_and_its_beginning_is_not_forgotten() -> None:
    lag = Lag()
    for look in range(5000):
        lag.look({A: look + 1}, {}, {A}, now=look * 5)
    assert lag.by_topic({A: 0}, now=25000)["due.v1"] == Behind(5000, 25000)
