"""The only way from an event to an effect: outbox, relay, delivery, inbox, parking (docs/architecture/messaging.md)."""
