package store

import (
	"database/sql/driver"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// plainArgs brings arguments down to integers, floats, strings, bytes and NULL.
// Booleans are stored as 0 and 1 everywhere.
func plainArgs(args []any) ([]any, error) {
	plain := make([]any, len(args))
	for i, arg := range args {
		var err error
		if plain[i], err = plainArg(arg); err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
	}
	return plain, nil
}

func plainArg(arg any) (any, error) {
	switch arg := arg.(type) {
	case nil, int64, float64:
		return arg, nil
	case []byte:
		if arg == nil {
			return []byte{}, nil
		}
		return arg, nil
	case string:
		return storable(arg), nil
	case bool:
		return bit(arg), nil
	case int:
		return int64(arg), nil
	case driver.Valuer:
		value, err := arg.Value()
		if err != nil {
			return nil, err
		}
		if _, again := value.(driver.Valuer); again {
			return nil, fmt.Errorf("%T gives a %T", arg, value)
		}
		return plainArg(value)
	}
	switch v := reflect.ValueOf(arg); v.Kind() { //nolint:exhaustive // there are no others.
	case reflect.String:
		return storable(v.String()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int(), nil
	case reflect.Bool:
		return bit(v.Bool()), nil
	}
	return nil, fmt.Errorf("a %T cannot be stored", arg)
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// storable makes a text that every server stores: valid UTF-8 without a NUL,
// which strangers send and PostgreSQL refuses.
func storable(text string) string {
	if utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 {
		return text
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}
