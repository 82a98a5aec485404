"""`python -m services.notifier [--role worker|web|both]`."""

from services.notifier.app import SPEC
from shared.service import run

run(SPEC)
