package awslocal

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
)

// gate stands before the emulators, as IAM does before AWS: it knows a function
// by the key that its request is signed with, and lets through what the role of
// the function allows.
type gate struct {
	cloud     *Cloud
	emulators map[string]*httputil.ReverseProxy // by the name of the service
}

func newGate(c *Cloud, messages, mail string) (*gate, error) {
	g := &gate{cloud: c, emulators: map[string]*httputil.ReverseProxy{}}
	for service, address := range map[string]string{"sns": messages, "sqs": messages, "ses": mail} {
		target, err := url.Parse(address)
		if err != nil {
			return nil, err
		}
		proxy := httputil.NewSingleHostReverseProxy(target)
		proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) } // who asked has left, mostly
		g.emulators[service] = proxy
	}
	return g, nil
}

// signed finds who signed a request, and for which service.
var signed = regexp.MustCompile(`Credential=([^/]+)/\d+/[^/]+/([a-z0-9]+)/aws4_request`)

// call is a request as IAM sees it.
type call struct {
	service, action string
	resources       []string
	body            []byte
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	by := signed.FindStringSubmatch(r.Header.Get("Authorization"))
	if by == nil {
		refuse(w, "sqs", "MissingAuthenticationToken", "the request is not signed", http.StatusForbidden)
		return
	}
	c := call{service: by[2], body: body}
	c.read(r, g.cloud)
	role, ok := g.cloud.roleOfKey(by[1])
	if !ok {
		refuse(w, c.service, "InvalidClientTokenId", "nobody has this key", http.StatusForbidden)
		return
	}
	for _, resource := range c.resources {
		if err := g.cloud.guard.allow(role, c.action, resource); err != nil {
			g.cloud.fault("%v", err)
			refuse(w, c.service, "AccessDenied", err.Error(), http.StatusForbidden)
			return
		}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	switch c.service {
	case "sns":
		g.publish(w, r, &c)
	case "ses":
		g.mail(w, r, &c)
	default:
		g.emulators[c.service].ServeHTTP(w, r)
	}
}

// read finds the action and the resources of a request.
func (c *call) read(r *http.Request, cloud *Cloud) {
	switch c.service {
	case "sqs":
		c.action = strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")
		var of struct {
			Address string `json:"QueueUrl"`
			Name    string `json:"QueueName"`
		}
		_ = json.Unmarshal(c.body, &of) // what cannot be read has no resource, and no right
		name := of.Name
		if name == "" {
			name = of.Address[strings.LastIndexByte(of.Address, '/')+1:]
		}
		c.resources = []string{arn("sqs", name)}
	case "sns":
		form, _ := url.ParseQuery(string(c.body))
		c.action, c.resources = form.Get("Action"), []string{form.Get("TopicArn")}
	case "ses":
		c.action = "Unknown"
		c.resources = []string{"*"}
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/email/outbound-emails") {
			c.action, c.resources = "SendRawEmail", cloud.mailResources(c.body)
		}
	}
	c.action = c.service + ":" + strings.TrimSuffix(c.action, "Batch") // IAM knows no batches
}

// refuse answers as the service would.
func refuse(w http.ResponseWriter, service, code, message string, status int) {
	if service == "sns" {
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(status)
		var words bytes.Buffer
		_ = xml.EscapeText(&words, []byte(message)) // a buffer takes all
		fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>`, code, &words)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("X-Amzn-Errortype", code+"Exception")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": code + "Exception", "message": message})
}

// publish lets the emulator copy messages to the queues that can be reached, and
// does for the others what SNS would.
func (g *gate) publish(w http.ResponseWriter, r *http.Request, c *call) {
	form, err := url.ParseQuery(string(c.body))
	if err != nil {
		refuse(w, "sns", "InvalidParameter", err.Error(), http.StatusBadRequest)
		return
	}
	for _, m := range publishedIn(form) {
		g.cloud.published(form.Get("TopicArn"), m)
	}
	g.emulators["sns"].ServeHTTP(w, r)
}

// publishedIn reads the messages of a Publish or PublishBatch.
func publishedIn(form url.Values) []note {
	var all []note
	prefixes := []string{""}
	if form.Get("Action") == "PublishBatch" {
		prefixes = nil
		for i := 1; form.Has(fmt.Sprintf("PublishBatchRequestEntries.member.%d.Id", i)); i++ {
			prefixes = append(prefixes, fmt.Sprintf("PublishBatchRequestEntries.member.%d.", i))
		}
	}
	for _, p := range prefixes {
		m := note{body: form.Get(p + "Message"), attributes: map[string]string{}}
		for i := 1; ; i++ {
			entry := fmt.Sprintf("%sMessageAttributes.entry.%d.", p, i)
			if !form.Has(entry + "Name") {
				break
			}
			m.attributes[form.Get(entry+"Name")] = form.Get(entry + "Value.StringValue")
		}
		all = append(all, m)
	}
	return all
}

// mail lets the emulator take a mail, unless SES would not.
func (g *gate) mail(w http.ResponseWriter, r *http.Request, c *call) {
	code, message, status := g.cloud.takesMail(c.body)
	if code != "" {
		refuse(w, "ses", code, message, status)
		return
	}
	g.emulators["ses"].ServeHTTP(w, r)
}
