package web

import (
	_ "embed"
	"slices"
)

//go:embed palette.css
var palette []byte

// Palette gives a style the colours and faces that all pages share, in the light
// and in the dark, as properties such as --ink and --paper.
func Palette(style []byte) []byte { return slices.Concat(palette, []byte("\n"), style) }
