"""The scheduler's migrations; see shared/schema.py."""
