-- What migrations/sqlite had made by step 2. Step n of SQLite is step n00 here.

-- +goose Up

-- Times are microseconds since 1970 UTC, ids are the 16 bytes of a UUID.

-- A message is stored once, however many queues it is on.
CREATE TABLE queue_messages (
    id           BYTEA  NOT NULL PRIMARY KEY,
    type         TEXT   COLLATE "C" NOT NULL,
    subject      TEXT   COLLATE "C" NOT NULL,
    trace_parent TEXT   COLLATE "C" NOT NULL,
    body         BYTEA  NOT NULL,
    created_at   BIGINT NOT NULL
);

-- One row for each queue that a message is on. The key begins with the id, so
-- that new rows (UUIDv7) are appended and a message is found without its queue.
-- Rows change several times and are then left alone, so pages keep some room.
CREATE TABLE queue_deliveries (
    message_id        BYTEA  NOT NULL REFERENCES queue_messages (id),
    queue             TEXT   COLLATE "C" NOT NULL,
    state             TEXT   COLLATE "C" NOT NULL CHECK (state IN ('waiting', 'done', 'dead', 'discarded')),
    receives          BIGINT NOT NULL DEFAULT 0 CHECK (receives >= 0),
    visible_at        BIGINT NOT NULL,
    claim             BIGINT NOT NULL DEFAULT 0, -- the fencing counter; it only grows
    claimed           SMALLINT NOT NULL DEFAULT 0, -- 1 while a receive is unanswered
    first_received_at BIGINT,
    last_error        TEXT   COLLATE "C" NOT NULL DEFAULT '',
    done_at           BIGINT,
    dead_at           BIGINT,
    told_in           BYTEA, -- the digest that told operations that it is dead
    discarded_at      BIGINT,
    discard_reason    TEXT   COLLATE "C" NOT NULL DEFAULT '',
    -- Which copy of a broker's dead-letter queue made this row a dead letter, so
    -- that the same copy, seen again after a crash, does not undo a redrive.
    buried_copy       TEXT   COLLATE "C" NOT NULL DEFAULT '',
    PRIMARY KEY (message_id, queue)
) WITH (fillfactor = 80);

-- Partial, so that a message that is done costs the claim nothing.
CREATE INDEX queue_deliveries_visible ON queue_deliveries (queue, visible_at, message_id) WHERE state = 'waiting';
CREATE INDEX queue_deliveries_dead ON queue_deliveries (dead_at, message_id, queue) WHERE state = 'dead';
CREATE INDEX queue_deliveries_done ON queue_deliveries (queue, done_at) WHERE state = 'done';
CREATE INDEX queue_deliveries_discarded ON queue_deliveries (queue) WHERE state = 'discarded';

-- Every failed delivery. The claim tells the first receive before a redrive
-- from the first receive after it.
CREATE TABLE queue_failures (
    message_id BYTEA  NOT NULL,
    queue      TEXT   COLLATE "C" NOT NULL,
    claim      BIGINT NOT NULL,
    receive    BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    error      TEXT   COLLATE "C" NOT NULL,
    PRIMARY KEY (message_id, queue, claim)
);
-- Those of a message that a broker delivered at last go by age.
CREATE INDEX queue_failures_at ON queue_failures (at);

-- published = rows in queue_deliveries + purged, for every queue, at every commit.
CREATE TABLE queue_totals (
    queue     TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    published BIGINT NOT NULL DEFAULT 0,
    purged    BIGINT NOT NULL DEFAULT 0
);
