// Package dashboard is the operator's web page: the state of everything at a
// glance, what waits for a person with the acts that settle it, and one product
// with all that explains its stock.
//
// # Pages
//
// Pages are rendered here, charts included, and are complete without a script.
// The one script keeps a page that is open up to date: it follows a stream of
// server-sent events, each of which is the page's content as it is now, and
// changes only what is different. What ten browsers look at is rendered once.
//
// # Who may what
//
// The operator's token, or the viewer's, is exchanged for a session, together
// with the name under which acts are kept in the audit trail. Sessions live in
// this process: a restart signs everybody out. Each act needs a session of an
// operator, the token of that session in the form, a request from this very
// origin, and a reason.
//
// # Limits
//
// Sessions, streams, logins by one address, the bytes of a form and of a report,
// and the rows of each list have named limits. A page reads no more rows in a
// large shop than in a small one; counts stop at restock.CountMax.
//
// # Not promised
//
// Encryption: put a proxy that speaks https in front of an admin listener that
// is not on loopback.
package dashboard
