"""A real PostgreSQL and a Kafka-protocol broker from wheels, for `steadypath up` and the tests: no Docker, no Java, no account."""
