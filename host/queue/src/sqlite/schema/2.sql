-- The embedded broker's file, from version 1 to version 2: keys, unique jobs, expiry, limits, fairness, requests to
-- cancel, progress and logs, periodic jobs, chains and batches, workers.

ALTER TABLE queues ADD COLUMN fair_since INTEGER;                    -- since which turn it is fair; absent: it is not
ALTER TABLE queues ADD COLUMN dead_bytes INTEGER NOT NULL DEFAULT 0; -- payloads and histories of its dead jobs
UPDATE queues SET dead_bytes = coalesce(
    (SELECT sum(payload_bytes + length(history)) FROM jobs WHERE queue = name AND state = 'dead'), 0
);

ALTER TABLE jobs ADD COLUMN key TEXT;                                -- whom it is for
ALTER TABLE jobs ADD COLUMN unique_key TEXT;
ALTER TABLE jobs ADD COLUMN unique_scope TEXT;                       -- how long it holds that: queued, unfinished, time
ALTER TABLE jobs ADD COLUMN start_by INTEGER;                        -- not started by then, it expires
ALTER TABLE jobs ADD COLUMN held TEXT;                               -- which limit keeps it from starting; queued only
ALTER TABLE jobs ADD COLUMN counted TEXT;                            -- the limits it runs under, one a line
ALTER TABLE jobs ADD COLUMN begun INTEGER NOT NULL DEFAULT 0;        -- its newest attempt: 0 held ahead, 1 presumed to have begun, 2 known to
ALTER TABLE jobs ADD COLUMN cancel INTEGER NOT NULL DEFAULT 0;       -- whether somebody asked to end it while it runs
ALTER TABLE jobs ADD COLUMN lost INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN progress REAL;
ALTER TABLE jobs ADD COLUMN fingerprint TEXT NOT NULL DEFAULT '';    -- of the error it died of
ALTER TABLE jobs ADD COLUMN batch TEXT;                              -- which one it belongs to
ALTER TABLE jobs ADD COLUMN then_links TEXT NOT NULL DEFAULT '';     -- what is to follow it, a line of JSON each
-- Last again, so that reading the others never walks over it.
ALTER TABLE jobs RENAME COLUMN reply TO reply_in_version_1;
ALTER TABLE jobs ADD COLUMN reply BLOB;
UPDATE jobs SET reply = reply_in_version_1 WHERE reply_in_version_1 IS NOT NULL;
ALTER TABLE jobs DROP COLUMN reply_in_version_1;

-- Apart from the job, as its payload is: few jobs have one, and each change of state would write it anew.
CREATE TABLE logs (
    job   INTEGER PRIMARY KEY REFERENCES jobs ON DELETE CASCADE,
    bytes BLOB NOT NULL                    -- JobLog, a line each
) STRICT;

-- What holds jobs back: a rule by its scope's name (`queue`, `task:T`, `key:K`, `keys`).
CREATE TABLE limits (
    queue       TEXT NOT NULL,
    name        TEXT NOT NULL,
    concurrency INTEGER,                   -- absent: no limit
    interval_us INTEGER NOT NULL,          -- for each token; 0: no limit
    burst       INTEGER NOT NULL,
    paused      INTEGER NOT NULL,
    PRIMARY KEY (queue, name)
) STRICT, WITHOUT ROWID;

-- How things stand under a limit; kept for as long as something is to be known, with the rule or without.
CREATE TABLE usage (
    queue    TEXT NOT NULL,
    name     TEXT NOT NULL,
    busy     INTEGER NOT NULL DEFAULT 0,   -- jobs that run under it; for `queue` the running ones are counted instead
    full_at  INTEGER NOT NULL DEFAULT 0,   -- when its bucket is next full
    again_at INTEGER,                      -- when its held jobs are to be looked at again
    PRIMARY KEY (queue, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX again ON usage (queue, again_at, name) WHERE again_at IS NOT NULL;
CREATE INDEX unused ON usage (queue, full_at) WHERE busy = 0 AND again_at IS NULL;

-- Which job holds a unique key.
CREATE TABLE uniques (
    queue      TEXT NOT NULL,
    unique_key TEXT NOT NULL,
    id         TEXT NOT NULL,
    until      INTEGER,                    -- absent: until the job lets it go
    PRIMARY KEY (queue, unique_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX unique_until ON uniques (queue, until) WHERE until IS NOT NULL;

-- The next turn of each key, and the turn that was leased last, each within a priority of a fair queue.
CREATE TABLE turns (
    queue    TEXT NOT NULL,
    priority INTEGER NOT NULL,
    key      TEXT NOT NULL,                -- empty: of all jobs without one
    turn     INTEGER NOT NULL,
    PRIMARY KEY (queue, priority, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX turns_in_order ON turns (queue, priority, turn);
CREATE TABLE leased_turns (
    queue    TEXT NOT NULL,
    priority INTEGER NOT NULL,
    turn     INTEGER NOT NULL,
    PRIMARY KEY (queue, priority)
) STRICT, WITHOUT ROWID;

-- Periodic jobs.
CREATE TABLE crons (
    name    TEXT PRIMARY KEY,
    queue   TEXT NOT NULL,
    next_at INTEGER,                       -- when it is due next; absent: it is paused, or never is
    kept    BLOB NOT NULL                  -- all that is known of it, as JSON
) STRICT, WITHOUT ROWID;
CREATE INDEX cron_due ON crons (queue, next_at) WHERE next_at IS NOT NULL;

-- Batches. Their members are counted; which jobs they are, the jobs say.
CREATE TABLE batches (
    batch       INTEGER PRIMARY KEY,
    id          TEXT NOT NULL,
    queue       TEXT NOT NULL,
    parent      TEXT,                      -- the batch it stands in
    state       TEXT NOT NULL,             -- open, finished, cancelled
    total       INTEGER NOT NULL,
    pending     INTEGER NOT NULL,
    succeeded   INTEGER NOT NULL DEFAULT 0,
    dead        INTEGER NOT NULL DEFAULT 0,
    cancelled   INTEGER NOT NULL DEFAULT 0,
    expired     INTEGER NOT NULL DEFAULT 0,
    removed     INTEGER NOT NULL DEFAULT 0,
    callback    TEXT NOT NULL,             -- it and what is to follow it, a line of JSON each; empty: there is none
    tail        TEXT NOT NULL,             -- the end of the callback's payload
    called      INTEGER NOT NULL DEFAULT 0, -- whether the callback was enqueued
    enqueued_at INTEGER NOT NULL,
    finished_at INTEGER,
    UNIQUE (id, queue)
) STRICT;
CREATE INDEX nested_batches ON batches (queue, parent, batch) WHERE parent IS NOT NULL;
CREATE INDEX newest_batches ON batches (enqueued_at, id) WHERE parent IS NULL;
CREATE INDEX ended_batches ON batches (queue, finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX in_batch ON jobs (queue, batch, job) WHERE batch IS NOT NULL;

-- A held job waits apart from the queue, so that it is in nobody's way. In a fair queue several jobs have one place.
DROP INDEX queued;
CREATE INDEX queued ON jobs (queue, priority DESC, place, id) WHERE state = 'queued' AND held IS NULL;
CREATE INDEX held ON jobs (queue, held, priority DESC, place, id) WHERE held IS NOT NULL;
CREATE INDEX start_by ON jobs (queue, start_by, id)
    WHERE start_by IS NOT NULL AND starts = 0 AND state IN ('scheduled', 'queued');
CREATE INDEX expired ON jobs (queue, expires_at) WHERE state = 'expired';
DROP INDEX dead;
CREATE INDEX dead ON jobs (queue, finished_at, id) WHERE state = 'dead';
CREATE INDEX cancelling ON jobs (job) WHERE state = 'running' AND cancel = 1;

-- What each worker said of itself last, for people.
CREATE TABLE workers (
    name    TEXT PRIMARY KEY,
    info    TEXT NOT NULL,             -- WorkerInfo as JSON
    seen_at INTEGER NOT NULL,
    until   INTEGER NOT NULL           -- after that it counts as gone
) STRICT;
