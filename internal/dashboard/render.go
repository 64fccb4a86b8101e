package dashboard

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

//go:embed templates
var templateFiles embed.FS

// templates are the pages. Where a page has a form, a slot stands for the token
// of the session, so that one rendering serves all sessions.
type templates struct {
	pages map[string]*template.Template
	slot  []byte
}

// The templates that belong to every page.
const (
	shellFile = "templates/shell.html"
	partsFile = "templates/parts.html"
)

func loadTemplates(a assets, slot string) (*templates, error) {
	t := &templates{pages: map[string]*template.Template{}, slot: []byte(slot)}
	functions := template.FuncMap{
		"asset": func(name string) (string, error) {
			address, ok := a.names[name]
			if !ok {
				return "", fmt.Errorf("there is no file %q", name)
			}
			return address, nil
		},
		"slot": func() string { return slot },
		"on":   on,
	}
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if file == shellFile || file == partsFile {
			continue
		}
		parsed, err := template.New("").Funcs(functions).Option("missingkey=error").ParseFS(templateFiles, shellFile, partsFile, file)
		if err != nil {
			return nil, err
		}
		t.pages[strings.TrimSuffix(path.Base(file), ".html")] = parsed
	}
	return t, nil
}

// fill puts the token of a session where the slots are.
func (t *templates) fill(page []byte, csrf string) []byte {
	return bytes.ReplaceAll(page, t.slot, []byte(csrf))
}

// scoped is a view that looks at one thing.
type scoped struct {
	*view

	It any
}

// on lets a part of a page look at one thing.
func on(around, it any) (scoped, error) {
	switch v := around.(type) {
	case *view:
		return scoped{v, it}, nil
	case scoped:
		return scoped{v.view, it}, nil
	}
	return scoped{}, fmt.Errorf("a part of a page stands in %T", around)
}

// view is what a template sees.
type view struct {
	Title string // a key of the texts
	About string // what the title is about
	Nav   string // which part of the navigation this page belongs to
	Data  any
	// Search is what was searched for, so that words can be added to it.
	Search string

	// Filled in by render.
	Language restock.Language
	Role     role
	Person   string // who is signed in; not for what is rendered for all
	Address  string // of this page
	Version  string
	Content  string // the version of the content
	Overview *restock.Overview
	Checks   verified
	Notices  []notice
	MailNote string
	words    words
	zone     *time.Location
	now      time.Time
}

// CanAct reports whether forms are shown.
func (v *view) CanAct() bool { return v.Role == operator }

// Speaking is the address of this page in another language.
func (v *view) Speaking(l restock.Language) (string, error) {
	u, err := url.Parse(v.Address)
	if err != nil {
		return "", err
	}
	query := u.Query()
	query.Set("lang", string(l))
	return u.Path + "?" + query.Encode(), nil
}

// Now is the moment of this page.
func (v *view) Now() time.Time { return v.now }

// First is the open order of a product whose goods are expected first.
func (v *view) First(r restock.ProductRow) restock.OpenOrder { return r.Open[0] }

// Unanswered reports whether the manager of an advertisement was asked something
// and nobody has said that it is done.
func (v *view) Unanswered(h restock.AdHold) bool {
	q := h.Question(h.Asks())
	return h.Asks() != "" && q.AcknowledgedAt.IsZero() && q.Mail.MayHaveArrived()
}

// PositionOf is the inventory position that a decision was made from.
func (v *view) PositionOf(d restock.Decision) int64 { return d.OnHand - d.Reserved + d.OnOrder }

// Between is how far two lines of a drawing are apart.
func (v *view) Between(from, to float64) float64 { return tenth(to - from) }

// ChartWords tells the drawing of a product to those who do not see it.
func (v *view) ChartWords() (string, error) {
	d, ok := v.Data.(*productData)
	if !ok {
		return "", fmt.Errorf("a chart of %T", v.Data)
	}
	h := d.History
	return v.T("chart_words", d.Lowest(), d.Highest(), d.Product.Stock.OnHand, len(h.Stockouts), len(h.Orders), len(h.Arrivals))
}

// page answers with what read gives.
func (d *Dashboard) page(name string, read func(*http.Request) (*view, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := read(r)
		if err == nil {
			var overview restock.Overview
			overview, err = d.counts.look(r.Context())
			if v != nil {
				v.Overview = &overview
			}
		}
		if err != nil {
			d.fail(w, r, err)
			return
		}
		d.render(w, r, http.StatusOK, name, v)
	}
}

// render answers with a page, or with its content alone.
func (d *Dashboard) render(w http.ResponseWriter, r *http.Request, status int, name string, v *view) {
	s := sessionOf(r.Context())
	d.fillIn(v, r, s)
	content, err := d.texts.execute(name, "live", v)
	if err != nil {
		web.Problem(w, r, d.log, err)
		return
	}
	if !isFragment(r.Context()) {
		v.Content = versionOf(content)
		if r.Method != http.MethodHead { // a script that looks whether the page is there shows nobody anything
			v.Notices = d.sessions.told(s.key)
		}
		if content, err = d.texts.execute(name, "shell", v); err != nil {
			web.Problem(w, r, d.log, err)
			return
		}
		content = d.texts.fill(content, s.csrf)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	web.SetLanguage(w, v.Language)
	h.Add("Vary", "Cookie")
	w.WriteHeader(status)
	_, _ = w.Write(content) // a browser that is gone cannot be told so.
}

func (t *templates) execute(name, part string, v *view) ([]byte, error) {
	page, ok := t.pages[name]
	if !ok {
		return nil, fmt.Errorf("there is no template %q", name)
	}
	var out bytes.Buffer
	err := page.ExecuteTemplate(&out, part, v)
	return out.Bytes(), err
}

func (d *Dashboard) fillIn(v *view, r *http.Request, s session) {
	v.Language = language(r)
	v.words = d.words[v.Language]
	v.Role, v.Person = s.role, s.name
	v.Address = r.URL.RequestURI()
	v.Version = d.cfg.Version
	v.MailNote = d.cfg.MailNote
	v.zone, v.now = d.cfg.Zone, d.cfg.Now()
	if s.role != "" {
		v.Checks = d.checks.look()
	}
}

// message is what the page of an error says.
type message struct {
	Status int
	Key    string // of the texts
	Detail string // from inside, in English
}

// refuse answers with an error of this room, in the words of the texts.
func (d *Dashboard) refuse(w http.ResponseWriter, r *http.Request, status int, key string) {
	d.render(w, r, status, "message", &view{Title: "cannot", Data: message{Status: status, Key: key}})
}

// fail answers with an error from inside.
func (d *Dashboard) fail(w http.ResponseWriter, r *http.Request, err error) {
	fault := web.Report(w, r, d.log, err)
	m := message{Status: fault.Status, Key: "error_" + string(fault.Code), Detail: fault.Detail}
	if _, ok := d.words[restock.English][m.Key]; !ok {
		m.Key = "error_other"
	}
	d.render(w, r, fault.Status, "message", &view{Title: "cannot", Data: m})
}
