"""What happened when, one JSON object a line, for the bench to read: the worker's own view, next to the samples from outside."""

import json
import os
import time

from dramatiq.middleware import Middleware

PAGE = os.sysconf("SC_PAGE_SIZE")


class Journal(Middleware):
    """Appends events to a file: `ready`, `started`, `allocated`, `backoff` (with its milliseconds), `finished`."""

    def __init__(self, path):
        self.path = path

    def write(self, event, **fields):
        """Appends one event with the time (milliseconds since the epoch) and this process's resident bytes."""
        with open("/proc/self/statm") as statm:
            rss = int(statm.read().split()[1]) * PAGE
        line = json.dumps({"at": time.time() * 1000, "event": event, "pid": os.getpid(), "rss": rss, **fields})
        with open(self.path, "a") as file:
            file.write(line + "\n")

    def after_worker_boot(self, broker, worker):
        self.write("ready")

    def before_enqueue(self, broker, message, delay):
        if delay:
            self.write("backoff", ms=delay)

    def after_process_message(self, broker, message, *, result=None, exception=None):
        self.write("finished")
