-- The trace that an order belongs to: that of the purchase, or of the person,
-- that it came of. The call to the factory carries it, and what is reported is
-- told under it, so that one id finds the whole story.
--
-- MySQL knows no ADD COLUMN IF NOT EXISTS; a step that was run and not written
-- down is run again all the same.

-- +goose NO TRANSACTION
-- +goose Up
SET @restock_step = IF(
    (SELECT COUNT(*) FROM information_schema.columns
        WHERE table_schema = DATABASE() AND table_name = 'replenishment_orders' AND column_name = 'trace_parent') = 0,
    'ALTER TABLE replenishment_orders ADD COLUMN trace_parent VARCHAR(64) NOT NULL DEFAULT ''''',
    'DO 0');
PREPARE restock_step FROM @restock_step;
EXECUTE restock_step;
DEALLOCATE PREPARE restock_step;
