-- Ordering from a factory that cannot be trusted to answer: what is known of
-- each factory, what people may decide, and when nobody was there to be called.

-- +goose Up

-- A reason to place nothing at this factory; '' while orders are placed.
ALTER TABLE factories ADD COLUMN paused TEXT NOT NULL DEFAULT '';
-- What happens when the window for a callback ends.
ALTER TABLE factories ADD COLUMN overdue_policy TEXT NOT NULL DEFAULT 'reorder' CHECK (overdue_policy IN ('reorder', 'wait', 'hold'));
-- What the second of two equal reports means while pieces are missing.
ALTER TABLE factories ADD COLUMN repeats TEXT NOT NULL DEFAULT 'hold' CHECK (repeats IN ('hold', 'apply'));
-- HTTP statuses from 500 on that surely mean "not accepted", with blanks between.
ALTER TABLE factories ADD COLUMN refused_statuses TEXT NOT NULL DEFAULT '';
-- The breaker, for all processes together. While it is half open, one probe is
-- on its way until breaker_until; while it is open, nothing is before then.
ALTER TABLE factories ADD COLUMN breaker TEXT NOT NULL DEFAULT 'closed' CHECK (breaker IN ('closed', 'open', 'half_open'));
ALTER TABLE factories ADD COLUMN breaker_failures INTEGER NOT NULL DEFAULT 0; -- in a row
ALTER TABLE factories ADD COLUMN breaker_opened INTEGER NOT NULL DEFAULT 0; -- times, since a call went well
ALTER TABLE factories ADD COLUMN breaker_until INTEGER NOT NULL DEFAULT 0;
-- The budget of retries: a bucket that fills with time and with first tries.
ALTER TABLE factories ADD COLUMN retry_tokens REAL NOT NULL DEFAULT 5;
ALTER TABLE factories ADD COLUMN retry_filled_at INTEGER NOT NULL DEFAULT 0;
-- Times from the call to the callback, in microseconds, as they were observed.
ALTER TABLE factories ADD COLUMN lead_times_seen INTEGER NOT NULL DEFAULT 0;
ALTER TABLE factories ADD COLUMN lead_time_longest INTEGER NOT NULL DEFAULT 0;
ALTER TABLE factories ADD COLUMN lead_time_learned INTEGER NOT NULL DEFAULT 0;
-- The public URL at which it called back last.
ALTER TABLE factories ADD COLUMN called_back_at TEXT NOT NULL DEFAULT '';

ALTER TABLE products ADD COLUMN snoozed_until INTEGER;
ALTER TABLE products ADD COLUMN daily_limit INTEGER NOT NULL DEFAULT 0 CHECK (daily_limit >= 0);
-- Set while an import or a changed policy, and not a sale, made it low.
ALTER TABLE products ADD COLUMN low_by_import INTEGER NOT NULL DEFAULT 0;

-- Automatic orders have slots from 0 on, orders by hand from -1 down.
ALTER TABLE replenishment_orders ADD COLUMN cause TEXT NOT NULL DEFAULT 'low' CHECK (cause IN ('low', 'import', 'manual'));
-- Attempts beyond the first that the factory may have accepted; a person who
-- says "again" raises it.
ALTER TABLE replenishment_orders ADD COLUMN reorder_budget INTEGER NOT NULL DEFAULT 1 CHECK (reorder_budget >= 0);
CREATE INDEX orders_created ON replenishment_orders (created_at);

ALTER TABLE order_attempts ADD COLUMN public_url TEXT NOT NULL DEFAULT '';
-- Pieces beyond the quantity that a person approved.
ALTER TABLE order_attempts ADD COLUMN approved INTEGER NOT NULL DEFAULT 0 CHECK (approved >= 0);

-- A call is in flight until it is answered, also when its callback came first.
CREATE INDEX attempts_leased ON order_attempts (factory_id, lease_until);

-- Pieces that were held, and that a person refused.
ALTER TABLE receipts ADD COLUMN refused INTEGER NOT NULL DEFAULT 0 CHECK (refused >= 0);

ALTER TABLE digests ADD COLUMN audience TEXT NOT NULL DEFAULT 'operations' CHECK (audience IN ('operations', 'buyer'));

-- When receiving processes were alive, a row for each stretch of time without a
-- gap. A window for a callback does not run while nobody could be called.
CREATE TABLE heartbeats (
    owner      TEXT    NOT NULL,
    started_at INTEGER NOT NULL,
    beat_at    INTEGER NOT NULL,
    gap_min    INTEGER NOT NULL, -- microseconds after the last beat until it counts as gone
    set_back   INTEGER NOT NULL, -- microseconds that the clock was set back by when it began, as far as beats tell
    PRIMARY KEY (owner, started_at)
) WITHOUT ROWID;
CREATE INDEX heartbeats_beat ON heartbeats (beat_at);

-- What people decided, and why. Rows are only ever added.
CREATE TABLE audit (
    id         BLOB    NOT NULL PRIMARY KEY,
    at         INTEGER NOT NULL,
    actor      TEXT    NOT NULL,
    action     TEXT    NOT NULL, -- such as order.approve
    subject    TEXT    NOT NULL, -- what it was done to: an id or a name
    product_id BLOB REFERENCES products (id),
    reason     TEXT    NOT NULL,
    detail     TEXT    NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX audit_product ON audit (product_id, id);
