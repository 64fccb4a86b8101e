-- Static secrets of factories, for callbacks whose address carries no token of
-- ours because the worker of another system gave it. Of a secret there is a hash
-- here, and the part that names it.

-- +goose Up
CREATE TABLE factory_secrets (
    id         TEXT   COLLATE "C" NOT NULL PRIMARY KEY, -- how the secret begins
    factory_id BYTEA  NOT NULL REFERENCES factories (id),
    hash       BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    used_at    BIGINT -- when a report came with it, to the minute
);
CREATE INDEX factory_secrets_factory ON factory_secrets (factory_id, id);

-- Whose secret vouched for a report without a token; NULL for one with a token,
-- and for one that nobody vouched for. An order_id of zeros is that of no order.
ALTER TABLE receipts ADD COLUMN factory_id BYTEA REFERENCES factories (id);
-- Pieces that a person approved.
ALTER TABLE receipts ADD COLUMN approved BIGINT NOT NULL DEFAULT 0 CHECK (approved >= 0);
-- A report without a token is told from a repeat by its body alone.
CREATE INDEX receipts_body ON receipts (body_hash);

-- To keep what nobody vouches for, as much of it as may wait.
INSERT INTO turns (name) VALUES ('unvouched');
