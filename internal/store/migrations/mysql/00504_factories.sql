-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS factories (
    id              BINARY(16) NOT NULL PRIMARY KEY,
    identifier      VARCHAR(512) NOT NULL UNIQUE,
    name            TEXT NOT NULL,
    manager_email   VARCHAR(255) NOT NULL,
    language        VARCHAR(16) NOT NULL,
    url             TEXT NOT NULL,
    requester       TEXT NOT NULL,
    lead_time       BIGINT NOT NULL CHECK (lead_time >= 0),
    max_in_flight   BIGINT NOT NULL CHECK (max_in_flight > 0),
    rate_per_second DOUBLE NOT NULL CHECK (rate_per_second > 0),
    -- The earliest moment for the next call, so that all processes together
    -- keep the rate.
    next_call_at    BIGINT NOT NULL DEFAULT 0,
    -- A reason to place nothing at this factory; '' while orders are placed.
    paused          TEXT NOT NULL DEFAULT (''),
    -- What happens when the window for a callback ends.
    overdue_policy  VARCHAR(16) NOT NULL DEFAULT 'reorder' CHECK (overdue_policy IN ('reorder', 'wait', 'hold')),
    -- What the second of two equal reports means while pieces are missing.
    repeats         VARCHAR(16) NOT NULL DEFAULT 'hold' CHECK (repeats IN ('hold', 'apply')),
    -- HTTP statuses from 500 on that surely mean "not accepted", with blanks between.
    refused_statuses TEXT NOT NULL DEFAULT (''),
    -- The breaker, for all processes together. While it is half open, one probe is
    -- on its way until breaker_until; while it is open, nothing is before then.
    breaker          VARCHAR(16) NOT NULL DEFAULT 'closed' CHECK (breaker IN ('closed', 'open', 'half_open')),
    breaker_failures BIGINT NOT NULL DEFAULT 0, -- in a row
    breaker_opened   BIGINT NOT NULL DEFAULT 0, -- times, since a call went well
    breaker_until    BIGINT NOT NULL DEFAULT 0,
    -- The budget of retries: a bucket that fills with time and with first tries.
    retry_tokens     DOUBLE NOT NULL DEFAULT 5,
    retry_filled_at  BIGINT NOT NULL DEFAULT 0,
    -- Times from the call to the callback, in microseconds, as they were observed.
    lead_times_seen   BIGINT NOT NULL DEFAULT 0,
    lead_time_longest BIGINT NOT NULL DEFAULT 0,
    lead_time_learned BIGINT NOT NULL DEFAULT 0,
    -- The public URL at which it called back last.
    called_back_at   TEXT NOT NULL DEFAULT ('')
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
