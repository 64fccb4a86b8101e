-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS advertisements (
    id            BINARY(16) NOT NULL PRIMARY KEY,
    name          VARCHAR(255) NOT NULL UNIQUE,
    manager_email VARCHAR(255) NOT NULL,
    language      VARCHAR(16) NOT NULL,
    stop_when     VARCHAR(16) NOT NULL DEFAULT 'all' CHECK (stop_when IN ('all', 'any')),
    -- The last hold, open or not.
    hold_id       BINARY(16),
    -- While a mail is on its way, nobody else may write to this manager, or
    -- the mails could arrive in the wrong order.
    mailing_until BIGINT NOT NULL DEFAULT 0,
    -- When somebody has to look again, if no event comes before; NULL for never.
    look_at       BIGINT,
    KEY advertisements_look (look_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
