-- The copy for the buyer is a channel of its own, so that neither operations nor
-- the buyer waits for the other's mailbox.

-- +goose Up
ALTER TABLE digests ADD COLUMN copied_by BLOB;
ALTER TABLE digests ADD COLUMN copying_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE digests ADD COLUMN copied_at INTEGER;
-- The copies of the digests from before went with their mails.
UPDATE digests SET copied_at = created_at;
CREATE INDEX digests_uncopied ON digests (created_at) WHERE copied_at IS NULL;
CREATE INDEX digests_copied_by ON digests (copied_by);
