"""Enqueues jobs from Python, as docs/queue-protocol.md describes it: one script call.

    enqueue.py redis://HOST:PORT SCRIPTS QUEUE < jobs.json

SCRIPTS is the folder of the three parts of the script: what all share, how a job is made, and enqueue. Standard input is
a JSON array with an object for each job: task, and as wanted id, payload (Base64), run_at (µs since 1970), priority,
options. Prints a JSON array: for each job its id (where another job has its unique key, that one's) and whether it was
created. What Redis refuses is printed to standard error, and the exit code is 1.
"""

import base64
import json
import pathlib
import sys
import uuid

import redis


def enqueue(client, script, queue, jobs):
    """Hands all jobs over, or none; answers for each its id and whether it was created."""
    args = [""]
    for job in jobs:
        options = json.dumps(job["options"]) if "options" in job else ""
        args += [job["id"], job["task"], job["payload"], job.get("run_at", ""), job.get("priority", ""), options]
    client.sadd("afresh:queues", queue)
    answers = client.register_script(script)(keys=[f"afresh:{{{queue}}}"], args=args)
    return [
        {"id": answer.decode() if isinstance(answer, bytes) else job["id"], "created": answer == 1}
        for job, answer in zip(jobs, answers)
    ]


def main():
    url, folder, queue = sys.argv[1:]
    parts = [pathlib.Path(folder, name).read_text(encoding="utf-8") for name in ("common.lua", "accept.lua", "enqueue.lua")]
    script = "#!lua\n" + "".join(parts)
    jobs = json.load(sys.stdin)
    for job in jobs:
        job.setdefault("id", uuid.uuid4().hex)
        job["payload"] = base64.b64decode(job.get("payload", ""))
    try:
        enqueued = enqueue(redis.Redis.from_url(url), script, queue, jobs)
    except redis.ResponseError as error:
        sys.exit(str(error))
    print(json.dumps(enqueued))


if __name__ == "__main__":
    main()
