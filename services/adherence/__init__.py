"""adherence: what did happen, and who must know."""
