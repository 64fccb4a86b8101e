-- Conditions that are a problem while they last, and a second channel to tell
-- operations: each takes a digest in its own time.

-- +goose Up
CREATE TABLE incidents (
    id               BLOB    NOT NULL PRIMARY KEY,
    kind             TEXT    NOT NULL CHECK (kind IN ('queue_old', 'relay_stuck', 'engine_away', 'dead_letters')),
    subject          TEXT    NOT NULL, -- the queue or the engine
    -- Its kind, a blank and its subject while it is open: at most one is.
    open_key         TEXT    UNIQUE,
    detail           TEXT    NOT NULL,
    began_at         INTEGER NOT NULL,
    opened_at        INTEGER NOT NULL,
    seen_at          INTEGER NOT NULL,
    ended_at         INTEGER, -- since when it is not seen any more
    closed_at        INTEGER, -- when it was taken to be over
    told_in          BLOB,    -- the digest that it belongs to
    -- The messages that told of it, unless they are known to have failed.
    mailed_in        BLOB,
    hooked_in        BLOB,
    recovery_told_in BLOB,    -- the digest that tells that it is over
    CHECK ((open_key IS NULL) = (closed_at IS NOT NULL))
) WITHOUT ROWID;
CREATE INDEX incidents_told ON incidents (told_in);
CREATE INDEX incidents_recovered ON incidents (recovery_told_in, closed_at);

-- While a channel cannot tell, digests that it never tried are told in one
-- message, by the first of them; what was tried once is repeated as it was.
ALTER TABLE digests ADD COLUMN mailed_by BLOB;
ALTER TABLE digests ADD COLUMN hooked_by BLOB;
ALTER TABLE digests ADD COLUMN hooking_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE digests ADD COLUMN hooked_at INTEGER;
-- The digests from before may have been tried, and had no webhook.
UPDATE digests SET mailed_by = id, hooked_at = created_at;
CREATE INDEX digests_unhooked ON digests (created_at) WHERE hooked_at IS NULL;
CREATE INDEX digests_mailed_by ON digests (mailed_by);
CREATE INDEX digests_hooked_by ON digests (hooked_by);
