-- The embedded broker's file, version 1. Times are microseconds since 1970 UTC. States and outcomes are the same words
-- as everywhere. Never changed: whoever needs more adds a step beside it, and its name in file.rs.

CREATE TABLE queues (
    name       TEXT PRIMARY KEY,
    last_place INTEGER NOT NULL DEFAULT 0,  -- the place of the job that joined the queue last
    last_token INTEGER NOT NULL DEFAULT 0   -- the fencing token of the newest lease
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
    job           INTEGER PRIMARY KEY,
    id            TEXT NOT NULL,
    queue         TEXT NOT NULL,
    task          TEXT NOT NULL,
    state         TEXT NOT NULL,
    priority      INTEGER NOT NULL,
    place         INTEGER NOT NULL,         -- first in, first out among jobs of one priority
    options       TEXT NOT NULL,            -- JobOptions as JSON
    payload_bytes INTEGER NOT NULL,
    enqueued_at   INTEGER NOT NULL,
    run_at        INTEGER NOT NULL,
    finished_at   INTEGER,                  -- set in every terminal state, and only there
    expires_at    INTEGER,                  -- when the record goes; absent: it stays
    starts        INTEGER NOT NULL DEFAULT 0,
    failures      INTEGER NOT NULL DEFAULT 0,
    waits         INTEGER NOT NULL DEFAULT 0,
    worker        TEXT,                     -- who holds the lease, or held it last
    token         INTEGER NOT NULL DEFAULT 0,
    lease_until   INTEGER,
    outcome       TEXT,                     -- of the newest attempt
    history       BLOB NOT NULL DEFAULT x'',
    reply         BLOB,                     -- last, so that reading the others never walks over it
    UNIQUE (id, queue)
) STRICT;

-- Apart from the job, because every change of state writes the job's whole row anew, and a payload never changes.
CREATE TABLE payloads (
    job   INTEGER PRIMARY KEY REFERENCES jobs ON DELETE CASCADE,
    bytes BLOB NOT NULL
) STRICT;

-- One for each state, by its name: a job stands in one of them at a time, so moving it costs one deletion and one
-- insertion, and counting a state walks nothing else.
CREATE INDEX queued ON jobs (queue, priority DESC, place) WHERE state = 'queued';
CREATE INDEX scheduled ON jobs (queue, run_at, id) WHERE state = 'scheduled';
CREATE INDEX running ON jobs (queue, lease_until, id) WHERE state = 'running';
CREATE INDEX succeeded ON jobs (queue, expires_at) WHERE state = 'succeeded';
CREATE INDEX dead ON jobs (queue, finished_at) WHERE state = 'dead';
CREATE INDEX cancelled ON jobs (queue, expires_at) WHERE state = 'cancelled';
-- For listings. Written once a job.
CREATE INDEX newest ON jobs (enqueued_at, id);
