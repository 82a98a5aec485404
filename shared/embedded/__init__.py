"""A real PostgreSQL and a Kafka-protocol broker from wheels, for `steadypath up` and tests: no Docker, no Java, no account."""
