"""Whether this process may be given work, and why not."""
