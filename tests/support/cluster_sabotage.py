"""A service as it is, whose aiokafka can be brought into the states that its users report: alive, connected, and standing still.

`python -m tests.support.cluster_sabotage SERVICE coordinator|fetcher` runs the service; SIGUSR1 ends one of aiokafka's own
background tasks, as an exception that nobody expected would (its issues 1154 and 703). Neither the library nor FastStream tells
anybody. Nothing else of the process is touched.

A wait for records that had begun by then still ends well; if all that was due came with it, nothing would be left to stand still
before. So "sabotaged" is said when the wait after that one begins.
"""

from __future__ import annotations

import asyncio
import os
import runpy
import signal
import sys
from typing import Any

from aiokafka import AIOKafkaConsumer

#: By name, where a consumer keeps the tasks that join the group and beat, and the one that reads records.
TASKS = {"coordinator": ("_coordinator", "_coordination_task", "_heartbeat_task"), "fetcher": ("_fetcher", "_fetch_task")}


def main(service: str, which: str) -> None:
    owner, *tasks = TASKS[which]
    grouped: list[AIOKafkaConsumer] = []
    start, getmany = AIOKafkaConsumer.start, AIOKafkaConsumer.getmany
    ended: set[AIOKafkaConsumer] = set()

    async def remembered(consumer: AIOKafkaConsumer) -> None:
        await start(consumer)
        if consumer._group_id is not None:
            grouped.append(consumer)
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, end)

    def end() -> None:
        for consumer in grouped:
            for task in tasks:
                found: Any = getattr(getattr(consumer, owner), task)
                found.cancel()
            for request in consumer._fetcher._pending_tasks if which == "fetcher" else ():
                request.cancel()
            ended.add(consumer)

    async def waiting(consumer: AIOKafkaConsumer, *partitions: Any, **how: Any) -> Any:
        if consumer in ended:
            ended.remove(consumer)
            os.write(2, f'{{"event": "sabotaged {which}"}}\n'.encode())
        return await getmany(consumer, *partitions, **how)

    AIOKafkaConsumer.start, AIOKafkaConsumer.getmany = remembered, waiting
    sys.argv = [f"services.{service}"]
    runpy.run_module(f"services.{service}", run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
