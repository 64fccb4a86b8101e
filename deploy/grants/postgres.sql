-- Two roles for a database on PostgreSQL: one that owns the schema, for `restock
-- migrate`, `move` and `restore`, and one that serves, which can read and write rows
-- and nothing else. Choose the passwords; run this as a superuser, in the database
-- that restock is to use. That nobody connects without TLS is a line in pg_hba.conf:
--   hostssl restock restock,restock_owner 10.0.0.0/8 scram-sha-256
CREATE ROLE restock_owner LOGIN PASSWORD 'CHANGE-ME-1';
CREATE ROLE restock LOGIN PASSWORD 'CHANGE-ME-2';

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO restock_owner;
GRANT USAGE ON SCHEMA public TO restock;
ALTER DEFAULT PRIVILEGES FOR ROLE restock_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO restock;
ALTER DEFAULT PRIVILEGES FOR ROLE restock_owner IN SCHEMA public GRANT USAGE ON SEQUENCES TO restock;
