-- factory_id: whose secret vouched for a report without a token; NULL for one with
-- a token, and for one that nobody vouched for. An order_id of zeros is that of no
-- order. approved: pieces that a person approved. A report without a token is told
-- from a repeat by its body alone.
--
-- MySQL knows no ADD COLUMN IF NOT EXISTS; a step that was run and not written
-- down is run again all the same.

-- +goose NO TRANSACTION
-- +goose Up
SET @restock_step = IF(
    (SELECT COUNT(*) FROM information_schema.columns
        WHERE table_schema = DATABASE() AND table_name = 'receipts' AND column_name = 'factory_id') = 0,
    'ALTER TABLE receipts ADD COLUMN factory_id BINARY(16),
        ADD COLUMN approved BIGINT NOT NULL DEFAULT 0 CHECK (approved >= 0),
        ADD KEY receipts_body (body_hash), ADD FOREIGN KEY (factory_id) REFERENCES factories (id)',
    'DO 0');
PREPARE restock_step FROM @restock_step;
EXECUTE restock_step;
DEALLOCATE PREPARE restock_step;
