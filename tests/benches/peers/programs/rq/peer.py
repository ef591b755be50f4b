"""An RQ job that does nothing. As a program it hands over jobs: `python peer.py JOBS`. PEER_REDIS says where Redis is."""

import os
import sys

from redis import Redis
from rq import Queue, Retry

CHUNK = 500

# This file is the worker's configuration too.
REDIS_URL = os.environ["PEER_REDIS"]


def nothing(job):
    pass


if __name__ == "__main__":
    import peer  # by the name that the worker has for it

    queue = Queue(connection=Redis.from_url(REDIS_URL))
    jobs = [
        Queue.prepare_data(peer.nothing, ({"n": 100000 + n, "x": "x" * 81},), result_ttl=0, retry=Retry(max=3))
        for n in range(int(sys.argv[1]))
    ]
    for begin in range(0, len(jobs), CHUNK):
        queue.enqueue_many(jobs[begin : begin + CHUNK])
