"""Enqueues jobs from Python, as docs/queue-protocol.md describes it: one script call.

    enqueue.py redis://HOST:PORT ENQUEUE.LUA QUEUE < jobs.json

Standard input is a JSON array with an object for each job: task, and as wanted id, payload (Base64), run_at (µs since
1970), priority, options. Prints a JSON array: for each job its id and whether it was created. What Redis refuses is
printed to standard error, and the exit code is 1.
"""

import base64
import json
import sys
import uuid

import redis


def enqueue(client, script, queue, jobs):
    """Hands all jobs over, or none; answers for each whether it was created."""
    keys = [f"afresh:{{{queue}}}:{name}" for name in ("job", "queued", "scheduled", "seq", "wake")]
    args = [""]
    for job in jobs:
        options = json.dumps(job["options"]) if "options" in job else ""
        args += [job["id"], job["task"], job["payload"], job.get("run_at", ""), job.get("priority", ""), options]
    client.sadd("afresh:queues", queue)
    return [created == 1 for created in client.register_script(script)(keys=keys, args=args)]


def main():
    url, path, queue = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        script = file.read()
    jobs = json.load(sys.stdin)
    for job in jobs:
        job.setdefault("id", uuid.uuid4().hex)
        job["payload"] = base64.b64decode(job.get("payload", ""))
    try:
        created = enqueue(redis.Redis.from_url(url), script, queue, jobs)
    except redis.ResponseError as error:
        sys.exit(str(error))
    print(json.dumps([{"id": job["id"], "created": new} for job, new in zip(jobs, created)]))


if __name__ == "__main__":
    main()
