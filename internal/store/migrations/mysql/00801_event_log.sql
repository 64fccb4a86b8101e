-- One row. Who writes an event locks it to the end of his transaction, as the
-- last of his locks, so that numbers are given in the order of the commits and a
-- reader who has seen one has seen all before it.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS event_log (
    id             BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    last_seq       BIGINT NOT NULL,
    purged_through BIGINT NOT NULL -- what is not kept any more
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
