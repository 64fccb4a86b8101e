package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/ops"
)

type ordersReconcileCommand struct {
	person  `embed:""`
	Factory string `required:"" placeholder:"IDENTIFIER" help:"Whose words the file has."`
	File    string `arg:"" help:"A CSV file, or - for the standard input."`
}

// Help is shown by restock orders reconcile --help.
func (ordersReconcileCommand) Help() string {
	return `The file has a line for each attempt, and begins with the names of its columns:
order_id, attempt and status, or callback_url and status. Others are passed over.
  order_id,attempt,status
  01a2…,1,accepted
  01a3…,1,absent
accepted: the factory has it; absent: it has not, and it is ordered again.

Example:
  restock orders reconcile theirs.csv --factory FF-500293 --reason "their list of today"`
}

func (o *ordersReconcileCommand) Run(c *console) error {
	rows, err := o.read()
	if err != nil {
		return fmt.Errorf("%s: %w", o.File, err)
	}
	var done restock.Reconciliation
	if err := o.post(c, "/v1/reconciliations", ops.ReconciliationBody{ActBody: o.act(), Factory: o.Factory, Rows: rows}, &done); err != nil {
		return err
	}
	if o.JSON {
		return printJSON(c, done)
	}
	for _, l := range done.Lines {
		c.printf("row %d: %s attempt %d: %s\n", l.Line, orDefault(l.OrderID.String(), "no order"), l.Attempt, printable(l.Result))
	}
	c.printf("%d accepted, %d absent, %d unchanged\n", done.Accepted, done.Absent, done.Unchanged)
	return nil
}

func (o *ordersReconcileCommand) read() ([]ops.ReconciliationRow, error) {
	if o.File == "-" {
		return readReconciliation(os.Stdin)
	}
	f, err := os.Open(o.File)
	if err != nil {
		return nil, err
	}
	defer f.Close() // it is only read
	return readReconciliation(f)
}

// readReconciliation reads a file of rows, whatever the order of its columns.
func readReconciliation(r io.Reader) ([]ops.ReconciliationRow, error) {
	reader := csv.NewReader(r)
	reader.TrimLeadingSpace = true
	head, err := reader.Read()
	if err != nil {
		return nil, fmt.Errorf("the first line must name the columns: %w", err)
	}
	head[0] = strings.TrimPrefix(head[0], "\ufeff") // spreadsheets begin with a mark
	columns, err := reconcileColumns(head)
	if err != nil {
		return nil, err
	}
	var rows []ops.ReconciliationRow
	for {
		cells, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		if len(rows) == restock.ReconcileRowsMax {
			return nil, fmt.Errorf("it has more than %d lines; split it", restock.ReconcileRowsMax)
		}
		line, _ := reader.FieldPos(0)
		row, err := columns.row(cells)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		rows = append(rows, row)
	}
}

// columnsOf says where the columns of a file are; -1 is nowhere.
type columnsOf struct{ order, attempt, callback, status int }

func reconcileColumns(head []string) (columnsOf, error) {
	at := func(name string) int { return slices.Index(head, name) }
	c := columnsOf{at("order_id"), at("attempt"), at("callback_url"), at("status")}
	if c.status < 0 || (c.callback < 0 && (c.order < 0 || c.attempt < 0)) {
		return c, errors.New("the first line must name the columns: order_id,attempt,status or callback_url,status")
	}
	return c, nil
}

func (c columnsOf) row(cells []string) (ops.ReconciliationRow, error) {
	row := ops.ReconciliationRow{ReconcileRow: restock.ReconcileRow{Status: restock.ReconcileStatus(cells[c.status])}}
	if row.Status != restock.ReconcileAccepted && row.Status != restock.ReconcileAbsent {
		return row, fmt.Errorf("status %q must be accepted or absent", row.Status)
	}
	if c.callback >= 0 && (cells[c.callback] != "" || c.order < 0 || c.attempt < 0) {
		row.CallbackURL = cells[c.callback]
		return row, nil
	}
	var err error
	if row.OrderID, err = restock.ParseID[restock.Order](cells[c.order]); err != nil {
		return row, err
	}
	if row.Attempt, err = strconv.Atoi(cells[c.attempt]); err != nil {
		return row, fmt.Errorf("attempt %q is no number", cells[c.attempt])
	}
	return row, nil
}
