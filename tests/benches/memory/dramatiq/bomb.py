"""The memory bomb as a Dramatiq actor: allocates, touches, and fails with an error that holds it, or whose text it is.

`python -m dramatiq bomb` loads it as a worker, `python bomb.py` enqueues the one job. The settings come by the environment:
BOMB_REDIS (a URL), BOMB_BYTES, BOMB_TEXT (0 or 1), BOMB_ASYNCIO (stock or fixed), BOMB_JOURNAL (a file), BOMB_MAX_ATTEMPTS,
BOMB_MIN_BACKOFF_MS, BOMB_MAX_BACKOFF_MS.
"""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO, default_middleware

from fixed import FixedAsyncIO
from journal import Journal

journal = Journal(os.environ["BOMB_JOURNAL"])
asyncio_middleware = FixedAsyncIO if os.environ["BOMB_ASYNCIO"] == "fixed" else AsyncIO
# The journal comes first, so that it is the last to hear that a message has been processed: after the retry is written.
broker = RedisBroker(
    url=os.environ["BOMB_REDIS"],
    middleware=[journal, *(middleware() for middleware in default_middleware), asyncio_middleware()],
)
dramatiq.set_broker(broker)


class HoldsData(Exception):
    """An error with a short text and a large attribute."""

    def __init__(self, data):
        super().__init__("the error holds the data")
        self.data = data


@dramatiq.actor(
    max_retries=int(os.environ["BOMB_MAX_ATTEMPTS"]) - 1,
    min_backoff=int(os.environ["BOMB_MIN_BACKOFF_MS"]),
    max_backoff=int(os.environ["BOMB_MAX_BACKOFF_MS"]),
)
async def bomb(size, text):
    journal.write("started")
    data = "x" * size if text else b"x" * size  # every page is written
    journal.write("allocated")
    raise RuntimeError(data) if text else HoldsData(data)


if __name__ == "__main__":
    bomb.send(int(os.environ["BOMB_BYTES"]), os.environ["BOMB_TEXT"] == "1")
