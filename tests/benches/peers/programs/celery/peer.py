"""A Celery task that does nothing. As a program it hands over jobs: `python peer.py JOBS`. PEER_REDIS says where Redis is."""

import os
import sys

from celery import Celery

app = Celery("peer", broker=os.environ["PEER_REDIS"])
app.conf.update(
    # Nobody asks for results; what its manual recommends then.
    task_ignore_result=True,
    # Acknowledged when done and not before: otherwise a worker that dies loses what it runs.
    task_acks_late="PEER_ACKS_LATE" in os.environ,
    broker_connection_retry_on_startup=True,
)


@app.task
def nothing(job):
    pass


if __name__ == "__main__":
    with app.producer_pool.acquire() as producer:
        for n in range(int(sys.argv[1])):
            nothing.apply_async(({"n": 100000 + n, "x": "x" * 81},), producer=producer)
