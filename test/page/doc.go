// Package page looks at the dashboard as people do: in a browser, with a mouse, a
// keyboard, on a phone, in the dark, and without a script.
//
// The browser is Chromium, headless, from Debian's packages; what it needs is
// installed where that is possible, and else its tests are skipped with the reason.
package page
