-- The trace that an order belongs to: that of the purchase, or of the person,
-- that it came of. The call to the factory carries it, and what is reported is
-- told under it, so that one id finds the whole story.

-- +goose Up
ALTER TABLE replenishment_orders ADD COLUMN trace_parent TEXT NOT NULL DEFAULT '';
