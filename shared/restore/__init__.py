"""A restored database has forgotten what its service said and heard since the backup: how the service finds its way back.

`mode` is the one row that says so and what beginning changes; `own` reads what the service itself has said since; `process`
takes the service through its way back before it does anything else; `words` keeps it from saying again what it has said. What is
a service's own stands in `services/<name>/restore.py`. The whole of it: docs/operations/restore.md, decision 0190.
"""
