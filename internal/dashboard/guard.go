package dashboard

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

// The cookies. That of the session is for these pages alone.
const (
	sessionCookie  = "restock_session"
	languageCookie = "restock_language"
	languageAge    = 365 * 24 * 60 * 60 // seconds
)

// policy lets a page use nothing but the files of this room: no script, style or
// address from elsewhere, nothing inline, no frame around it. Browsers report at
// once by report-uri; by report-to, its successor, a minute later.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; report-uri " + root + "/csp-report"

// guarded sets what every answer of this room must carry.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Frame-Options", "DENY")
		// Not no-referrer: that would make the Origin of our own forms null.
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		next.ServeHTTP(w, r)
	})
}

type sessionKey struct{}

// sessionOf gives the session of a request that signedIn let through.
func sessionOf(ctx context.Context) session {
	s, _ := ctx.Value(sessionKey{}).(session)
	return s
}

// signedIn lets requests with a session through. A page is asked to sign in and
// comes back to where it was going.
func (d *Dashboard) signedIn(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s, ok := d.session(r)
		if ok {
			next(w, r.WithContext(context.WithValue(r.Context(), sessionKey{}, s)))
			return
		}
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			d.refuse(w, r, http.StatusUnauthorized, "session_ended")
		case r.URL.Path == eventsPath:
			w.WriteHeader(http.StatusUnauthorized) // the script loads the page anew
		case r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.Header.Get("Sec-Fetch-Mode") == "navigate":
			// A link in a mail: a browser keeps a strict cookie back until the page
			// itself asks.
			d.render(w, r, http.StatusOK, "bounce", &view{Title: "go_on", Data: r.URL.RequestURI()})
		default:
			http.Redirect(w, r, loginPath+"?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		}
	}
}

func (d *Dashboard) session(r *http.Request) (session, bool) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return session{}, false
	}
	return d.sessions.use(cookie.Value)
}

// sameOrigin reports whether a form was sent by one of our own pages. A browser
// always says where a form came from, in one header or the other.
func (d *Dashboard) sameOrigin(r *http.Request) bool {
	if r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "" {
		return false
	}
	return d.origins.Check(r) == nil
}

// formBytesMax bounds a form.
const formBytesMax = 16 << 10

// acting lets the form of an operator through: signed in, from our own page,
// with the session's token.
func (d *Dashboard) acting(next http.HandlerFunc) http.HandlerFunc {
	return d.signedIn(func(w http.ResponseWriter, r *http.Request) {
		s := sessionOf(r.Context())
		switch {
		case !d.sameOrigin(r):
			d.refuse(w, r, http.StatusForbidden, "foreign_form")
		case !readForm(w, r) || !s.owns(r.PostForm.Get("csrf")):
			d.refuse(w, r, http.StatusForbidden, "stale_form")
		case s.role != operator:
			d.refuse(w, r, http.StatusForbidden, "viewers_read")
		default:
			next(w, r)
		}
	})
}

// readForm reads the form in a body, up to formBytesMax.
func readForm(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, formBytesMax)
	return r.ParseForm() == nil
}

// cameByHTTPS reports whether the browser speaks https, to us or to what stands
// in front of us: then the cookie is for https alone.
func cameByHTTPS(r *http.Request) bool {
	return r.TLS != nil || strings.HasPrefix(r.Header.Get("Origin"), "https://")
}

// localPath gives the path of one of our own pages, or the first page: nobody is
// sent elsewhere by what a form or an address says.
func localPath(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || strings.Contains(text, `\`) ||
		(u.Path != root && !strings.HasPrefix(u.Path, root+"/")) || u.Path != cleanPath(u.Path) {
		return root
	}
	return u.RequestURI()
}

// cleanPath takes what would lead up and out of a path.
func cleanPath(path string) string {
	for part := range strings.SplitSeq(path, "/") {
		if part == ".." || part == "." {
			return root
		}
	}
	return path
}

// language is the one that was chosen on a page, or else the browser's.
func language(r *http.Request) restock.Language {
	if cookie, err := r.Cookie(languageCookie); err == nil {
		switch l := restock.Language(cookie.Value); l {
		case restock.Korean, restock.English:
			return l
		}
	}
	return web.Language(r)
}

// speaking keeps a language that is chosen with ?lang= and goes back to the page.
func speaking(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		lang := restock.Language(query.Get("lang"))
		if r.Method != http.MethodGet || (lang != restock.Korean && lang != restock.English) {
			next.ServeHTTP(w, r)
			return
		}
		http.SetCookie(w, &http.Cookie{ //nolint:gosec // it holds two letters.
			Name: languageCookie, Value: string(lang), Path: root, MaxAge: languageAge,
			HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil,
		})
		query.Del("lang")
		u := url.URL{Path: r.URL.Path, RawQuery: query.Encode()}
		http.Redirect(w, r, localPath(u.String()), http.StatusSeeOther)
	})
}

// reportBytesMax bounds a report of a browser.
const reportBytesMax = 16 << 10

// cspReport counts what a browser refused to run or to load. Anybody can send
// one, so it is counted and logged at a pace, and not kept.
func (d *Dashboard) cspReport(w http.ResponseWriter, r *http.Request) {
	body, err := web.ReadBody(w, r, reportBytesMax)
	if err != nil {
		web.Problem(w, r, d.log, err)
		return
	}
	d.cspReports.Add(1)
	d.reportLog.Do(func() {
		d.log.WarnContext(r.Context(), "a browser refused something on a page", keyReport, printable(string(body)))
	})
	w.WriteHeader(http.StatusNoContent)
}

// printable is a text from outside as one line of a log.
func printable(text string) string {
	const most = 1000
	text = strings.ToValidUTF8(text[:min(len(text), most)], "")
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text)
}
