-- There are no partial indexes, so the state stands in each of them.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS queue_deliveries (
    message_id        BINARY(16)   NOT NULL,
    queue             VARCHAR(128) NOT NULL,
    state             VARCHAR(16)  NOT NULL CHECK (state IN ('waiting', 'done', 'dead', 'discarded')),
    receives          BIGINT       NOT NULL DEFAULT 0 CHECK (receives >= 0),
    visible_at        BIGINT       NOT NULL,
    claim             BIGINT       NOT NULL DEFAULT 0, -- the fencing counter; it only grows
    claimed           SMALLINT     NOT NULL DEFAULT 0, -- 1 while a receive is unanswered
    first_received_at BIGINT,
    last_error        TEXT         NOT NULL DEFAULT (''),
    done_at           BIGINT,
    dead_at           BIGINT,
    told_in           BINARY(16), -- the digest that told operations that it is dead
    discarded_at      BIGINT,
    discard_reason    TEXT         NOT NULL DEFAULT (''),
    -- Which copy of a broker's dead-letter queue made this row a dead letter, so
    -- that the same copy, seen again after a crash, does not undo a redrive.
    buried_copy       TEXT         NOT NULL DEFAULT (''),
    PRIMARY KEY (message_id, queue),
    KEY queue_deliveries_visible (queue, state, visible_at, message_id),
    KEY queue_deliveries_dead (state, dead_at, message_id, queue),
    KEY queue_deliveries_done (queue, state, done_at),
    FOREIGN KEY (message_id) REFERENCES queue_messages (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
