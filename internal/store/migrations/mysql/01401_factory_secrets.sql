-- Static secrets of factories, for callbacks whose address carries no token of
-- ours because the worker of another system gave it. Of a secret there is a hash
-- here, and the part that names it.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS factory_secrets (
    id         VARCHAR(16) NOT NULL PRIMARY KEY, -- how the secret begins
    factory_id BINARY(16) NOT NULL,
    hash       BINARY(32) NOT NULL,
    created_at BIGINT NOT NULL,
    used_at    BIGINT, -- when a report came with it, to the minute
    KEY factory_secrets_factory (factory_id, id),
    FOREIGN KEY (factory_id) REFERENCES factories (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
