-- +goose NO TRANSACTION
-- +goose Up
INSERT IGNORE INTO event_log (id, last_seq, purged_through) VALUES (1, 0, 0);
