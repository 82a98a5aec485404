"""The operator's command line, and what runs Steadypath on one machine. The one place that may import every service."""
