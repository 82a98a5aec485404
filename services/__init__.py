"""The three Steadypath services. They never import each other: they talk only by the events in `shared.events`."""
