-- +goose NO TRANSACTION
-- +goose Up
INSERT IGNORE INTO turns (name) VALUES ('digest'), ('money'), ('settings');
