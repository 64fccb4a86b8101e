package sqlqueue

import (
	"strconv"
	"strings"
	"sync"
)

// Dialect is what a database makes of the statements of this package, and of
// the store around it. All of them are written once, in what the three have in
// common, with placeholders as question marks, and four phrases that each
// database says in its own way:
//
//   - INSERT INTO … ON CONFLICT DO NOTHING, at the end: a row that is there
//     already stays, and the row count tells.
//   - FOR UPDATE and FOR UPDATE SKIP LOCKED: nothing on SQLite, where a
//     transaction that writes is alone. On PostgreSQL it is the weaker lock that
//     lets others refer to the row.
//   - /*! … */ is for MySQL alone, and a comment to the others.
//
// On MySQL strings are concatenated with ||, and names quoted with ", as
// anywhere else: its connections need the modes in MySQLMode.
type Dialect int

// The dialects. MySQL means MySQL 8 and MariaDB.
const (
	SQLite Dialect = iota
	MySQL
	PostgreSQL
)

// MySQLMode is the sql_mode that connections to MySQL need: strict, so that
// nothing is cut or made fit in silence.
const MySQLMode = "ANSI_QUOTES,PIPES_AS_CONCAT,STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY,NO_ZERO_DATE,NO_ZERO_IN_DATE," +
	"ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"

// String names the folder of the dialect's migrations.
func (d Dialect) String() string {
	return [...]string{SQLite: "sqlite", MySQL: "mysql", PostgreSQL: "postgres"}[d]
}

const (
	phraseIgnore = ` ON CONFLICT DO NOTHING`
	phraseSkip   = ` FOR UPDATE SKIP LOCKED`
	phraseLock   = ` FOR UPDATE`
)

// translated remembers statements; there are a few hundred texts in the program.
//
//nolint:gochecknoglobals // a cache of a pure function.
var translated [PostgreSQL + 1]sync.Map

// Statement says a statement in the dialect.
func (d Dialect) Statement(query string) string {
	if said, ok := translated[d].Load(query); ok {
		return said.(string) //nolint:forcetypeassert // only strings are stored.
	}
	said := d.translate(query)
	translated[d].Store(query, said)
	return said
}

func (d Dialect) translate(query string) string {
	switch d {
	case MySQL:
		if rest, ok := strings.CutSuffix(query, phraseIgnore); ok {
			return strings.Replace(rest, `INSERT INTO`, `INSERT IGNORE INTO`, 1)
		}
		return query
	case PostgreSQL:
		return numbered(strings.ReplaceAll(query, phraseLock, ` FOR NO KEY UPDATE`))
	case SQLite:
	}
	return strings.ReplaceAll(strings.ReplaceAll(query, phraseSkip, ``), phraseLock, ``)
}

// numbered makes $1, $2 … of the question marks that are not within quotes.
func numbered(query string) string {
	var b strings.Builder
	n, quoted := 0, false
	for _, r := range query {
		switch {
		case r == '\'':
			quoted = !quoted
		case r == '?' && !quoted:
			n++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
