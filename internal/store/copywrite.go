package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/restock/restock/internal/queue/sqlqueue"
)

// statementBytesMax bounds one INSERT of many rows on MySQL, whose packets are
// limited by the server, 16 MB where nobody changed that.
const statementBytesMax = 1 << 20

// write inserts a part in one transaction.
func (e end) write(ctx context.Context, t copiedTable, part [][]any) error {
	if e.dialect == sqlqueue.PostgreSQL {
		return e.copyIn(ctx, t, part)
	}
	begun, err := e.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer begun.Rollback() //nolint:errcheck // after a commit there is nothing to roll back.
	insert := insertEach
	if e.dialect == sqlqueue.MySQL {
		insert = insertMany
	}
	if err := insert(ctx, begun, t, part); err != nil {
		return err
	}
	return begun.Commit()
}

// copyIn is PostgreSQL's own way to take many rows.
func (e end) copyIn(ctx context.Context, t copiedTable, part [][]any) error {
	return e.conn.Raw(func(driver any) error {
		conn, ok := driver.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("the connection is a %T", driver)
		}
		_, err := conn.Conn().CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromRows(part))
		return err
	})
}

func insertEach(ctx context.Context, begun *sql.Tx, t copiedTable, part [][]any) error {
	stmt, err := begun.PrepareContext(ctx, insertInto(t)+oneRow(t))
	if err != nil {
		return err
	}
	defer stmt.Close()
	for _, row := range part {
		if _, err := stmt.ExecContext(ctx, row...); err != nil {
			return err
		}
	}
	return nil
}

func insertMany(ctx context.Context, begun *sql.Tx, t copiedTable, part [][]any) error {
	for len(part) > 0 {
		n, size, args := 0, 0, []any(nil)
		for n < len(part) && size < statementBytesMax {
			args, size, n = append(args, part[n]...), size+sizeOf(part[n]), n+1
		}
		rows := strings.TrimSuffix(strings.Repeat(oneRow(t)+`, `, n), `, `)
		if _, err := begun.ExecContext(ctx, insertInto(t)+rows, args...); err != nil {
			return err
		}
		part = part[n:]
	}
	return nil
}

func insertInto(t copiedTable) string {
	return `INSERT INTO ` + t.name + ` (` + quoted(t.columns) + `) VALUES `
}

func oneRow(t copiedTable) string {
	return `(` + strings.TrimSuffix(strings.Repeat(`?, `, len(t.columns)), `, `) + `)`
}

// continueNumbers lets the ledger go on behind its last line, and whatever else
// is numbered. MySQL and SQLite do so by themselves.
func (e end) continueNumbers(ctx context.Context) error {
	if e.dialect != sqlqueue.PostgreSQL {
		return nil
	}
	numbered, err := texts(ctx, e.conn, `SELECT FORMAT('SELECT setval(pg_get_serial_sequence(%1$L, %2$L), MAX(%2$I)) FROM %1$I HAVING MAX(%2$I) IS NOT NULL', table_name, column_name)
		FROM information_schema.columns WHERE table_schema = current_schema() AND is_identity = 'YES' AND table_name NOT LIKE '%goose%'`)
	if err != nil {
		return err
	}
	for _, statement := range numbered {
		if _, err := e.conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}
