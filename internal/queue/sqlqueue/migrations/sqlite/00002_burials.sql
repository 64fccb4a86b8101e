-- +goose Up

-- Which copy of a broker's dead-letter queue made this row a dead letter, so
-- that the same copy, seen again after a crash, does not undo a redrive.
ALTER TABLE queue_deliveries ADD COLUMN buried_copy TEXT NOT NULL DEFAULT '';

-- Failures of a message that a broker delivered at last have no delivery here
-- that would take them along when it is purged; they go by age.
CREATE INDEX queue_failures_at ON queue_failures (at);
