"""A Dramatiq actor that does nothing. As a program it hands over jobs: `python peer.py JOBS`. PEER_REDIS says where Redis is."""

import os
import sys

import dramatiq
from dramatiq.brokers.redis import RedisBroker

dramatiq.set_broker(RedisBroker(url=os.environ["PEER_REDIS"]))


@dramatiq.actor
def nothing(job):
    pass


if __name__ == "__main__":
    for n in range(int(sys.argv[1])):
        nothing.send({"n": 100000 + n, "x": "x" * 81})
