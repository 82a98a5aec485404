"""The clinic that `up` makes (US defaults) and five sample patients, loaded through the services' public APIs like anybody's."""

from __future__ import annotations

import asyncio

from steadypath.client import Client
from steadypath.folder import DataFolder
from steadypath.sample.loader import load
from steadypath.state import Running


async def first_time(folder: DataFolder, running: Running, *, with_sample: bool) -> None:
    """The clinic, and the sample patients where asked for; each once in a folder's life. Raises CommandError."""
    client = Client(running)
    for what, wanted in (("clinic", True), ("patients", with_sample)):
        if wanted and not folder.done_once(what):
            await asyncio.to_thread(load, client, what)
            folder.mark_done(what)
