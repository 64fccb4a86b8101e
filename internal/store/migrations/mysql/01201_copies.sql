-- The copy for the buyer is a channel of its own, so that neither operations nor
-- the buyer waits for the other's mailbox.

-- +goose NO TRANSACTION
-- +goose Up
ALTER TABLE digests
    ADD COLUMN copied_by BINARY(16),
    ADD COLUMN copying_until BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN copied_at BIGINT,
    ADD KEY digests_uncopied (copied_at, created_at),
    ADD KEY digests_copied_by (copied_by);
