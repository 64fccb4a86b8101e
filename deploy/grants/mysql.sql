-- Two users for a database on MySQL 8 or MariaDB: one that changes the schema, for
-- `restock migrate`, `move` and `restore`, and one that serves, which can read and
-- write rows and nothing else. Choose the passwords; run this as an administrator.
-- With REQUIRE SSL neither can connect without TLS.
CREATE DATABASE IF NOT EXISTS `restock` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE USER 'restock_owner'@'%' IDENTIFIED BY 'CHANGE-ME-1' REQUIRE SSL;
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, CREATE VIEW, SHOW VIEW ON `restock`.* TO 'restock_owner'@'%';

CREATE USER 'restock'@'%' IDENTIFIED BY 'CHANGE-ME-2' REQUIRE SSL;
GRANT SELECT, INSERT, UPDATE, DELETE ON `restock`.* TO 'restock'@'%';

-- In mixed mode, where the tables of another system are in a database `shop` of the
-- same server (--stock-table shop.product):
-- GRANT SELECT, UPDATE (stock) ON `shop`.`product` TO 'restock'@'%';
