-- +goose Up

-- Times are microseconds since 1970 UTC, ids are the 16 bytes of a UUID.

-- A message is stored once, however many queues it is on.
CREATE TABLE queue_messages (
    id           BLOB    NOT NULL PRIMARY KEY,
    type         TEXT    NOT NULL,
    subject      TEXT    NOT NULL,
    trace_parent TEXT    NOT NULL,
    body         BLOB    NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row for each queue that a message is on. The key begins with the id, so
-- that new rows (UUIDv7) are appended and a message is found without its queue.
CREATE TABLE queue_deliveries (
    message_id        BLOB    NOT NULL REFERENCES queue_messages (id),
    queue             TEXT    NOT NULL,
    state             TEXT    NOT NULL CHECK (state IN ('waiting', 'done', 'dead', 'discarded')),
    receives          INTEGER NOT NULL DEFAULT 0 CHECK (receives >= 0),
    visible_at        INTEGER NOT NULL,
    claim             INTEGER NOT NULL DEFAULT 0, -- the fencing counter; it only grows
    claimed           INTEGER NOT NULL DEFAULT 0, -- 1 while a receive is unanswered
    first_received_at INTEGER,
    last_error        TEXT    NOT NULL DEFAULT '',
    done_at           INTEGER,
    dead_at           INTEGER,
    told_in           BLOB,    -- the digest that told operations that it is dead
    discarded_at      INTEGER,
    discard_reason    TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (message_id, queue)
) STRICT, WITHOUT ROWID;

-- Partial, so that a message that is done costs the claim nothing. Databases
-- without partial indexes put the state in front.
CREATE INDEX queue_deliveries_visible ON queue_deliveries (queue, visible_at, message_id) WHERE state = 'waiting';
CREATE INDEX queue_deliveries_dead ON queue_deliveries (dead_at, message_id, queue) WHERE state = 'dead';
CREATE INDEX queue_deliveries_done ON queue_deliveries (queue, done_at) WHERE state = 'done';
CREATE INDEX queue_deliveries_discarded ON queue_deliveries (queue) WHERE state = 'discarded';

-- Every failed delivery. The claim tells the first receive before a redrive
-- from the first receive after it.
CREATE TABLE queue_failures (
    message_id BLOB    NOT NULL,
    queue      TEXT    NOT NULL,
    claim      INTEGER NOT NULL,
    receive    INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    error      TEXT    NOT NULL,
    PRIMARY KEY (message_id, queue, claim)
) STRICT, WITHOUT ROWID;

-- published = rows in queue_deliveries + purged, for every queue, at every commit.
CREATE TABLE queue_totals (
    queue     TEXT    NOT NULL PRIMARY KEY,
    published INTEGER NOT NULL DEFAULT 0,
    purged    INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
