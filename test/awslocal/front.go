package awslocal

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// front is an address that functions are reached by: that of an HTTP API, or a
// function's own.
type front struct {
	cloud    *Cloud
	api      string    // the id of its resource
	function *function // or the only one
}

// requestBytesMax is what an HTTP API takes.
const requestBytesMax = 10 << 20

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	to, route := f.function, "$default"
	if f.api != "" {
		var part string
		to, route, part = f.route(r)
		if want := f.bestRoute(f.cloud.shipped, r); want != nil && want.ID != part {
			f.cloud.fault("%s %s goes by %q and not by %s", r.Method, r.URL.Path, part, want.ID)
		}
		if to == nil {
			answerError(w, http.StatusNotFound, "Not Found")
			return
		}
		f.cloud.worked(part)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, requestBytesMax))
	if err != nil {
		answerError(w, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
		return
	}
	payload, err := to.invoke(r.Context(), []byte(toJSON(event(r, route, body))))
	if errors.Is(err, errThrottled) {
		answerError(w, http.StatusServiceUnavailable, "Service Unavailable")
		return
	}
	if err != nil {
		answerError(w, http.StatusInternalServerError, "Internal Server Error")
		return
	}
	answer(w, payload)
}

func answerError(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": message})
}

// route finds the function for a request: the route that says most of it wins.
func (f *front) route(r *http.Request) (to *function, key, part string) {
	s := f.cloud.stack
	found := f.bestRoute(s, r)
	if found == nil {
		return nil, "", ""
	}
	key, part = s.text(found, "RouteKey"), found.ID
	target := strings.TrimPrefix(s.text(found, "Target"), "integrations/")
	for _, i := range s.made(typeIntegration) {
		if text(s.ref(i.ID)) == target {
			to = f.cloud.byARN[s.text(i, "IntegrationUri")]
		}
	}
	if to == nil || !f.mayInvoke(to) {
		return nil, "", part
	}
	return to, key, part
}

// bestRoute is the route of a stack that says most of a request.
func (f *front) bestRoute(s *Stack, r *http.Request) *Resource {
	best := -1
	var found *Resource
	for _, route := range s.made(typeRoute) {
		if s.text(route, "ApiId") != text(s.ref(f.api)) {
			continue
		}
		if weight := fits(s.text(route, "RouteKey"), r.Method, r.URL.Path); weight > best {
			best, found = weight, route
		}
	}
	return found
}

// mayInvoke says whether the function lets the API invoke it.
func (f *front) mayInvoke(to *function) bool {
	s := f.cloud.stack
	from := arn("execute-api", text(s.ref(f.api))+"/$default/GET/")
	for _, p := range s.made(typePermission) {
		name := s.text(p, "FunctionName")
		if (name == to.name || f.cloud.byARN[name] == to) && s.text(p, "Principal") == "apigateway.amazonaws.com" &&
			s.text(p, "Action") == "lambda:InvokeFunction" && matches(s.text(p, "SourceArn"), from) {
			f.cloud.worked(p.ID)
			return true
		}
	}
	f.cloud.fault("%s lets nobody invoke it: %s is missing", to.id, f.cloud.shippedID(typePermission, func(s *Stack, p *Resource) bool {
		return s.text(p, "FunctionName") == to.name
	}))
	return false
}

// fits weighs how much of a request a route key names; -1 is that it does not fit.
func fits(key, method, path string) int {
	if key == "$default" {
		return 0
	}
	keyMethod, keyPath, _ := strings.Cut(key, " ")
	weight := 1
	switch keyMethod {
	case method:
		weight++
	case "ANY":
	default:
		return -1
	}
	want, have := strings.Split(keyPath, "/"), strings.Split(path, "/")
	for i, part := range want {
		switch {
		case strings.HasSuffix(part, "+}"):
			if i >= len(have) || have[i] == "" {
				return -1
			}
			return weight
		case i >= len(have):
			return -1
		case strings.HasPrefix(part, "{"):
			weight += 2
		case part != have[i]:
			return -1
		default:
			weight += 10
		}
	}
	if len(want) != len(have) {
		return -1
	}
	return weight
}

// event is the request as payload 2.0 has it.
func event(r *http.Request, route string, body []byte) map[string]any {
	headers := map[string]string{"host": r.Host}
	for name, values := range r.Header {
		if name != "Cookie" {
			headers[strings.ToLower(name)] = strings.Join(values, ",")
		}
	}
	source, _, _ := net.SplitHostPort(r.RemoteAddr)
	now := time.Now().UTC()
	headers["x-forwarded-for"], headers["x-forwarded-proto"] = source, "https"
	e := map[string]any{
		"version": "2.0", "routeKey": route, "rawPath": r.URL.EscapedPath(), "rawQueryString": r.URL.RawQuery, "headers": headers,
		"requestContext": map[string]any{
			"accountId": account, "apiId": "local", "domainName": r.Host, "requestId": "local", "routeKey": route, "stage": "$default",
			"time": now.Format("02/Jan/2006:15:04:05 -0700"), "timeEpoch": now.UnixMilli(),
			"http": map[string]any{"method": r.Method, "path": r.URL.Path, "protocol": r.Proto, "sourceIp": source, "userAgent": r.UserAgent()},
		},
		"isBase64Encoded": false,
	}
	if cookies := r.Header.Values("Cookie"); len(cookies) > 0 {
		e["cookies"] = strings.Split(strings.Join(cookies, "; "), "; ")
	}
	if len(body) > 0 {
		e["body"], e["isBase64Encoded"] = base64.StdEncoding.EncodeToString(body), true
		if kind := r.Header.Get("Content-Type"); slices.ContainsFunc([]string{"text/", "json", "xml"}, func(k string) bool { return strings.Contains(kind, k) }) {
			e["body"], e["isBase64Encoded"] = string(body), false
		}
	}
	return e
}

// answer writes what the function answered.
func answer(w http.ResponseWriter, payload []byte) {
	var a struct {
		Status  int               `json:"statusCode"`
		Headers map[string]string `json:"headers"`
		Cookies []string          `json:"cookies"`
		Body    string            `json:"body"`
		Base64  bool              `json:"isBase64Encoded"`
	}
	if err := json.Unmarshal(payload, &a); err != nil || a.Status == 0 {
		answerError(w, http.StatusInternalServerError, "Internal Server Error")
		return
	}
	for name, value := range a.Headers {
		w.Header().Set(name, value)
	}
	for _, cookie := range a.Cookies {
		w.Header().Add("Set-Cookie", cookie)
	}
	body := []byte(a.Body)
	if a.Base64 {
		body, _ = base64.StdEncoding.DecodeString(a.Body) // what is no base64 is cut there
	}
	w.WriteHeader(a.Status)
	w.Write(body)
}
