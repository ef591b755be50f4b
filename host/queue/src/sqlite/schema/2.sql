-- The embedded broker's file, from version 1 to version 2.

-- What each worker said of itself last, for people.
CREATE TABLE workers (
    name    TEXT PRIMARY KEY,
    info    TEXT NOT NULL,             -- WorkerInfo as JSON
    seen_at INTEGER NOT NULL,
    until   INTEGER NOT NULL           -- after that it counts as gone
) STRICT;
