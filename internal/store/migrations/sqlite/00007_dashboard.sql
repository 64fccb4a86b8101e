-- What the dashboard needs so that no page of it looks at every row: products
-- by urgency, products by the words of their names, and what waits for people.

-- +goose Up

-- How urgent a product is: 0 out of stock, 1 low, 2 on order, 3 healthy. It is
-- written when it changes, which is seldom, and not at every sale.
ALTER TABLE products ADD COLUMN urgency INTEGER NOT NULL DEFAULT 3 CHECK (urgency BETWEEN 0 AND 3);
UPDATE products SET urgency = CASE
    WHEN on_hand - reserved <= 0 THEN 0
    WHEN ordering <> 'off' AND on_hand - reserved + on_order <= reorder_point THEN 1
    WHEN on_order > 0 THEN 2
    ELSE 3 END;
CREATE INDEX products_urgency ON products (urgency, sku);

-- The words that find a product: of its SKU, its slug and its name, in lower
-- case. Korean joins words, so its words are here from each of their letters on.
CREATE TABLE product_words (
    word       TEXT NOT NULL,
    product_id BLOB NOT NULL REFERENCES products (id),
    PRIMARY KEY (word, product_id)
) WITHOUT ROWID;

INSERT OR IGNORE INTO product_words (word, product_id)
WITH RECURSIVE
    texts (id, text) AS (SELECT id, lower(sku || ' ' || slug || ' ' || name) FROM products),
    plain (id, text) AS (SELECT id,
        replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(
            text, '-', ' '), '_', ' '), '/', ' '), '.', ' '), ',', ' '), '(', ' '), ')', ' '), '[', ' '), ']', ' '), '+', ' '),
            '&', ' '), '''', ' '), '"', ' '), ':', ' '), '#', ' ') FROM texts),
    split (id, word, rest) AS (
        SELECT id, '', text || ' ' FROM plain
        UNION ALL
        SELECT id, substr(rest, 1, instr(rest, ' ') - 1), substr(rest, instr(rest, ' ') + 1) FROM split WHERE rest <> ''),
    ends (id, word, whole) AS (
        SELECT id, substr(word, 1, 40), 1 FROM split WHERE word <> ''
        UNION
        SELECT id, substr(word, 2), 0 FROM ends WHERE length(word) > 2 AND length(word) <> length(CAST(word AS BLOB)))
SELECT word, id FROM ends WHERE whole = 1 OR unicode(word) >= 4352;

-- What waits for people, by its state, in the order in which it came.
CREATE INDEX orders_state ON replenishment_orders (state, id);
CREATE INDEX receipts_part_held ON receipts (id) WHERE state = 'applied' AND held > 0;
CREATE INDEX audit_subject ON audit (subject, id);

-- What turned a stock other than by sales, of which there are many.
CREATE INDEX movements_unsold ON movements (product_id, id) WHERE kind <> 'sale';
