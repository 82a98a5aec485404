"""The notifier's HTTP surface. Everything is mounted under `/notifier` by `services.notifier.app`."""
