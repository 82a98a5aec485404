"""The notifier's migrations; see shared/schema.py."""
