package dashboard

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"mime"
	"net/http"
	"path"
	"strings"

	"github.com/restock/restock/internal/web"
)

//go:embed static
var staticFiles embed.FS

// staticFile is a file that every page needs. Its address has its hash, so that
// a browser may keep it for ever.
type staticFile struct {
	media string
	body  []byte
}

// assets are the files by the names in their addresses, and these by the names
// that the templates use.
type assets struct {
	files map[string]staticFile
	names map[string]string
}

func loadAssets() (assets, error) {
	a := assets{files: map[string]staticFile{}, names: map[string]string{}}
	entries, err := staticFiles.ReadDir("static")
	if err != nil {
		return a, err
	}
	for _, entry := range entries {
		name := entry.Name()
		body, err := staticFiles.ReadFile(path.Join("static", name))
		if err != nil {
			return a, err
		}
		if path.Ext(name) == ".css" {
			body = web.Palette(body)
		}
		const shown = 8
		hash := sha256.Sum256(body)
		ext := path.Ext(name)
		hashed := strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(hash[:shown]) + ext
		a.files[hashed] = staticFile{media: mime.TypeByExtension(ext), body: body}
		a.names[name] = root + "/static/" + hashed
	}
	return a, nil
}

func (a assets) serve(w http.ResponseWriter, r *http.Request) {
	file, ok := a.files[r.PathValue("file")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", file.media)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(file.body) // a browser that is gone cannot be told so.
}
