-- The copies of the digests from before went with their mails. No digest of this
-- version has been made yet.

-- +goose NO TRANSACTION
-- +goose Up
UPDATE digests SET copied_at = created_at WHERE copied_at IS NULL;
