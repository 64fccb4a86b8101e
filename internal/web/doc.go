// Package web is good manners on HTTP, written once for every room that
// answers requests: limits, the request log, errors, pages, languages, the
// bearer token, health, and a graceful stop.
//
// # Order of the middleware
//
// From the outside in: Log, Headers, Deadline, RequireBearer, the routes. Log
// comes first so that it also sees what the others refuse, and so that a panic
// anywhere inside ends as one answer and one line.
//
// # Limits
//
// Everything a stranger can make large or slow has a named limit: the header
// and its time, the body and its time, the answer's time, an idle connection,
// the number of connections, a page of a list, a check of /readyz, the stop.
// What the Server answers when there are too many connections is described at
// ConnectionsMax.
//
// # Not promised
//
// Nothing here limits a single client's share: that is for the routes that
// need it, and for what stands in front of the service.
package web
