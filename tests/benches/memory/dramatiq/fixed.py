"""Dramatiq 2.0.0's AsyncIO middleware without its reference cycle, written anew from the description of the fault.

In 2.0.0 the thread that waits for a coroutine keeps the future in a local variable while the coroutine's exception passes
through its frame: exception -> traceback -> frame -> future -> exception. Only the cyclic collector can free that, late.
Here the name is deleted on the way out, as 2.2.1 does upstream.
"""

import asyncio

from dramatiq.asyncio import EventLoopThread, set_event_loop_thread
from dramatiq.middleware import AsyncIO


class LoopWithoutCycle(EventLoopThread):
    def run_coroutine(self, coro):
        future = asyncio.run_coroutine_threadsafe(coro, self.loop)
        try:
            return future.result()
        finally:
            del future


class FixedAsyncIO(AsyncIO):
    def before_worker_boot(self, broker, worker):
        loop = LoopWithoutCycle(self.logger)
        loop.start(timeout=1.0)
        set_event_loop_thread(loop)
