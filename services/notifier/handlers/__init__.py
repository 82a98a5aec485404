"""One event, one handler. `services.notifier.app` merges the tables of both halves."""
