-- What the mail that asks to stop says of the goods on their way is written
-- down before it is first sent, so that a repeat after a crash, which carries
-- the same Message-ID, is the same mail.

-- +goose Up
ALTER TABLE ad_holds ADD COLUMN stop_on_order INTEGER; -- NULL in holds from before
ALTER TABLE ad_holds ADD COLUMN stop_expected_at INTEGER;
