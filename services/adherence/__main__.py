"""`python -m services.adherence [--role worker|web|both]`"""

from __future__ import annotations

from services.adherence.app import SPEC
from shared.service import run

if __name__ == "__main__":
    run(SPEC)
