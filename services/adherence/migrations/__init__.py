"""Adherence's migrations; see shared/schema.py."""
