package openapi

import (
	"encoding/json"
	"strings"

	"go.yaml.in/yaml/v3"
)

const indent = "  "

// writeJSON writes a YAML node as JSON. The order of members stays, which a
// detour over a map would lose.
func writeJSON(out *strings.Builder, n *yaml.Node, at string) error {
	switch n.Kind { //nolint:exhaustive // an example has no aliases.
	case yaml.MappingNode:
		return writeList(out, "{", "}", at, len(n.Content)/2, func(i int) error { //nolint:mnd // a name and a value.
			name, err := json.Marshal(n.Content[2*i].Value)
			if err != nil {
				return err
			}
			out.WriteString(string(name) + ": ")
			return writeJSON(out, n.Content[2*i+1], at+indent)
		})
	case yaml.SequenceNode:
		return writeList(out, "[", "]", at, len(n.Content), func(i int) error {
			return writeJSON(out, n.Content[i], at+indent)
		})
	}
	var v any
	if err := n.Decode(&v); err != nil {
		return err
	}
	if n.Tag == "!!timestamp" {
		v = n.Value
	}
	encoder := json.NewEncoder(trimming{out})
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

func writeList(out *strings.Builder, open, end, at string, n int, write func(int) error) error {
	out.WriteString(open)
	for i := range n {
		if i > 0 {
			out.WriteString(",")
		}
		out.WriteString("\n" + at + indent)
		if err := write(i); err != nil {
			return err
		}
	}
	if n > 0 {
		out.WriteString("\n" + at)
	}
	out.WriteString(end)
	return nil
}

// trimming takes the line break that an encoder puts behind each value.
type trimming struct{ *strings.Builder }

func (t trimming) Write(p []byte) (int, error) {
	_, _ = t.WriteString(strings.TrimSuffix(string(p), "\n")) // it never fails
	return len(p), nil
}
