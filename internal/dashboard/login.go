package dashboard

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/restock/restock"
)

// The limits of signing in, for one address: so many tries at once, then one in
// ten seconds. Tokens that we make cannot be guessed; a token of one's own may be.
const (
	loginBurst     = 5
	loginPerSecond = 0.1
	loginRetry     = "10" // seconds, as Retry-After
)

// loginForm is what the page to sign in shows.
type loginForm struct {
	Next      string
	Name      string
	Problem   string // a key of the texts; "" at first
	TokenFile string
}

// loginPage answers GET /dashboard/login.
func (d *Dashboard) loginPage(w http.ResponseWriter, r *http.Request) {
	next := localPath(r.URL.Query().Get("next"))
	if _, ok := d.session(r); ok {
		http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // localPath knows only our own pages.
		return
	}
	d.showLogin(w, r, http.StatusOK, loginForm{Next: next})
}

func (d *Dashboard) showLogin(w http.ResponseWriter, r *http.Request, status int, form loginForm) {
	form.TokenFile = d.cfg.TokenFile
	d.render(w, r, status, "login", &view{Title: "sign_in", Data: form})
}

// login answers POST /dashboard/login: a token and a name become a session.
func (d *Dashboard) login(w http.ResponseWriter, r *http.Request) {
	if !d.sameOrigin(r) {
		d.refuse(w, r, http.StatusForbidden, "foreign_form")
		return
	}
	if !readForm(w, r) {
		d.refuse(w, r, http.StatusRequestEntityTooLarge, "form_too_large")
		return
	}
	form := loginForm{Next: localPath(r.PostForm.Get("next")), Name: strings.TrimSpace(r.PostForm.Get("name"))}
	if !validName(form.Name) {
		form.Problem = "name_needed"
		d.showLogin(w, r, http.StatusBadRequest, form)
		return
	}
	if ok, _ := d.logins.Allow(r); !ok {
		d.log.WarnContext(r.Context(), "too many logins", keyRemote, r.RemoteAddr)
		w.Header().Set("Retry-After", loginRetry)
		form.Problem = "too_many_logins"
		d.showLogin(w, r, http.StatusTooManyRequests, form)
		return
	}
	given := d.roleOf(strings.TrimSpace(r.PostForm.Get("token")))
	if given == "" {
		d.log.WarnContext(r.Context(), "login refused", keyRemote, r.RemoteAddr, keyBy, form.Name)
		form.Problem = "wrong_token"
		d.showLogin(w, r, http.StatusUnauthorized, form)
		return
	}
	if old, ok := d.session(r); ok {
		d.sessions.end(old.key)
	}
	cookie, err := d.sessions.begin(form.Name, given)
	if err != nil {
		d.fail(w, r, err)
		return
	}
	d.log.InfoContext(r.Context(), "signed in", keyBy, form.Name, keyRole, string(given), keyRemote, r.RemoteAddr)
	http.SetCookie(w, d.cookie(r, cookie, int(sessionAge.Seconds())))
	http.Redirect(w, r, form.Next, http.StatusSeeOther)
}

func (d *Dashboard) cookie(r *http.Request, value string, maxAge int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // it is for https alone where there is https.
		Name: sessionCookie, Value: value, Path: root, MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: cameByHTTPS(r),
	}
}

// validName checks the name under which acts are kept.
func validName(name string) bool {
	return name != "" && len(name) <= restock.ActWordsMax && !strings.ContainsFunc(name, unicode.IsControl)
}

// roleOf says what a token is for; "" is no token of ours.
func (d *Dashboard) roleOf(token string) role {
	got := sha256.Sum256([]byte(token))
	is := func(wanted string) bool {
		want := sha256.Sum256([]byte(wanted))
		return wanted != "" && subtle.ConstantTimeCompare(got[:], want[:]) == 1
	}
	asOperator, asViewer := is(d.cfg.OperatorToken), is(d.cfg.ViewerToken)
	switch {
	case asOperator:
		return operator
	case asViewer:
		return viewer
	}
	return ""
}

// signOut answers POST /dashboard/sign-out. It needs the session's token, but no
// role.
func (d *Dashboard) signOut(w http.ResponseWriter, r *http.Request) {
	s := sessionOf(r.Context())
	if !d.sameOrigin(r) || !readForm(w, r) || !s.owns(r.PostForm.Get("csrf")) {
		d.refuse(w, r, http.StatusForbidden, "stale_form")
		return
	}
	d.sessions.end(s.key)
	d.log.InfoContext(r.Context(), "signed out", keyBy, s.name)
	http.SetCookie(w, d.cookie(r, "", -1))
	http.Redirect(w, r, loginPath+"?next="+url.QueryEscape(root), http.StatusSeeOther)
}
