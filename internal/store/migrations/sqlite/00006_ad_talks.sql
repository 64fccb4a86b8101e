-- A conversation is with the manager of an advertisement, not about a stockout:
-- several products may share one. Each hold has its mails, and each mail what
-- it says, so that a repeat says the same.

-- +goose Up
ALTER TABLE advertisements ADD COLUMN stop_when TEXT NOT NULL DEFAULT 'all' CHECK (stop_when IN ('all', 'any'));
-- The last hold, open or not.
ALTER TABLE advertisements ADD COLUMN hold_id BLOB;
-- While a mail is on its way, nobody else may write to this manager, or the
-- mails could arrive in the wrong order.
ALTER TABLE advertisements ADD COLUMN mailing_until INTEGER NOT NULL DEFAULT 0;
-- When somebody has to look again, if no event comes before; NULL for never.
ALTER TABLE advertisements ADD COLUMN look_at INTEGER;
CREATE INDEX advertisements_look ON advertisements (look_at);
CREATE INDEX products_advertisement ON products (advertisement_id);
CREATE INDEX stockouts_open ON stockouts (closed_at, product_id);

ALTER TABLE ad_holds RENAME TO ad_holds_before;
CREATE TABLE ad_holds (
    id                     BLOB    NOT NULL PRIMARY KEY,
    advertisement_id       BLOB    NOT NULL REFERENCES advertisements (id),
    -- With which stockout it began.
    product_id             BLOB    NOT NULL REFERENCES products (id),
    stockout_id            BLOB    NOT NULL REFERENCES stockouts (id),
    state                  TEXT    NOT NULL CHECK (state IN ('stopping', 'stopped', 'resuming', 'resumed', 'withdrawn')),
    -- 1 while it is open, else NULL: at most one is.
    slot                   INTEGER,
    created_at             INTEGER NOT NULL,
    stop_acknowledged_at   INTEGER,
    stop_acknowledged_by   TEXT    NOT NULL DEFAULT '',
    resume_acknowledged_at INTEGER,
    resume_acknowledged_by TEXT    NOT NULL DEFAULT '',
    -- Since when operations have to look after it.
    escalated_at           INTEGER,
    told_in                BLOB, -- the digest that told them
    UNIQUE (advertisement_id, slot),
    CHECK ((slot IS NULL) = (state IN ('resumed', 'withdrawn')))
) WITHOUT ROWID;
CREATE INDEX ad_holds_open ON ad_holds (slot, product_id);
CREATE INDEX ad_holds_escalated ON ad_holds (escalated_at);

CREATE TABLE ad_mails (
    hold_id  BLOB    NOT NULL REFERENCES ad_holds (id),
    kind     TEXT    NOT NULL CHECK (kind IN ('stop', 'stop_reminder', 'resume', 'resume_reminder')),
    due_at   INTEGER NOT NULL, -- its date
    facts    TEXT    NOT NULL, -- what it says, in JSON; '' in mails from before
    tries    INTEGER NOT NULL,
    tried_at INTEGER NOT NULL, -- the last time
    unsure   INTEGER NOT NULL, -- it may have arrived, though nobody said so
    sent_at  INTEGER,
    PRIMARY KEY (hold_id, kind)
) WITHOUT ROWID;

-- Of the holds from before, the newest open one of each advertisement stays
-- open. Their mails had no link, so nobody waits for an answer to them.
INSERT INTO ad_holds (id, advertisement_id, product_id, stockout_id, state, slot, created_at,
        stop_acknowledged_at, stop_acknowledged_by, resume_acknowledged_at, resume_acknowledged_by)
    SELECT h.id, h.advertisement_id, h.product_id, h.stockout_id,
        CASE WHEN h.state = 'resumed' OR n.id IS NOT NULL THEN h.state ELSE 'withdrawn' END,
        CASE WHEN h.state <> 'resumed' AND n.id IS NOT NULL THEN 1 END,
        h.created_at, COALESCE(h.acknowledged_at, h.stop_sent_at, h.created_at), 'no answer was asked for',
        COALESCE(h.resume_sent_at, CASE WHEN h.state = 'resuming' THEN h.created_at END),
        CASE WHEN h.state IN ('resuming', 'resumed') THEN 'no answer was asked for' ELSE '' END
    FROM ad_holds_before h
    LEFT JOIN (SELECT MAX(id) AS id FROM ad_holds_before WHERE state <> 'resumed' GROUP BY advertisement_id) n ON n.id = h.id;
INSERT INTO ad_mails (hold_id, kind, due_at, facts, tries, tried_at, unsure, sent_at)
    SELECT h.id, 'stop', s.opened_at, '', 1, COALESCE(h.stop_sent_at, h.created_at),
        CASE WHEN h.stop_sent_at IS NULL THEN 1 ELSE 0 END, h.stop_sent_at
    FROM ad_holds_before h JOIN stockouts s ON s.id = h.stockout_id;
INSERT INTO ad_mails (hold_id, kind, due_at, facts, tries, tried_at, unsure, sent_at)
    SELECT h.id, 'resume', COALESCE(s.closed_at, h.created_at), '', 1, COALESCE(h.resume_sent_at, h.created_at),
        CASE WHEN h.resume_sent_at IS NULL THEN 1 ELSE 0 END, h.resume_sent_at
    FROM ad_holds_before h JOIN stockouts s ON s.id = h.stockout_id WHERE h.state IN ('resuming', 'resumed');
UPDATE advertisements SET hold_id = COALESCE(
        (SELECT h.id FROM ad_holds h WHERE h.advertisement_id = advertisements.id AND h.slot = 1),
        (SELECT MAX(h.id) FROM ad_holds h WHERE h.advertisement_id = advertisements.id)),
    mailing_until = COALESCE((SELECT MAX(h.mailing_until) FROM ad_holds_before h WHERE h.advertisement_id = advertisements.id), 0);
DROP TABLE ad_holds_before;
