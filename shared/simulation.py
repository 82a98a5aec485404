"""Simulated time, stepped: all passes until idle, then an honest snapshot of what is still under way."""
