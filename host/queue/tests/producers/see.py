"""Finds out from Python what became of jobs, as docs/queue-protocol.md describes it: one script call.

    see.py redis://HOST:PORT SCRIPTS QUEUE ID...

SCRIPTS is the folder of the two parts of the script: what all share, and see. Prints a JSON array: for each job its state
(null where there is no such job) and, if there is one, its reply in Base64.
"""

import base64
import json
import pathlib
import sys

import redis


def see(client, script, queue, ids, fields):
    """For each job the values of these fields of its record, None where it has none."""
    args = ["", len(fields), *fields, *ids]
    return client.register_script(script)(keys=[f"afresh:{{{queue}}}"], args=args)


def main():
    url, folder, queue, *ids = sys.argv[1:]
    parts = [pathlib.Path(folder, name).read_text(encoding="utf-8") for name in ("common.lua", "see.lua")]
    script = "#!lua flags=no-writes\n" + "".join(parts)
    rows = see(redis.Redis.from_url(url), script, queue, ids, ["state", "reply"])
    seen = [
        {"state": state and state.decode(), "reply": reply and base64.b64encode(reply).decode()} for state, reply in rows
    ]
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
