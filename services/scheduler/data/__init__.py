"""The scheduler's data: which medicine is watched by which rule sets. Events carry the rule sets' names, never the code."""
