"""A container's health check: `python -m shared.probe URL` exits 0 when the address answers 200, else 1 with what it said.

Stdlib only and no import of ours: it runs every few seconds beside the service.
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request

_TIMEOUT_SECONDS = 4.0


def probe(url: str) -> str | None:
    """None when `url` answers 200; else why not, in at most a line. Only http addresses are asked."""
    if not url.startswith("http://"):
        return "an http:// address is needed"
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310  checked above
            return None if answer.status == 200 else f"answered {answer.status}"
    except urllib.error.HTTPError as error:
        with error:
            return f"answered {error.code}: {error.read(300).decode('utf-8', 'replace')}"
    except OSError as error:
        return type(error).__name__


if __name__ == "__main__":
    why = probe(sys.argv[1] if len(sys.argv) == 2 else "")
    if why is not None:
        sys.stderr.write(why + "\n")
    sys.exit(why is not None)
