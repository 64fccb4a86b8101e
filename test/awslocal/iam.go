package awslocal

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// grant is one action that a role's policy allows.
type grant struct {
	Role, Statement, Action string
}

// String names the grant as people find it in the template.
func (g grant) String() string { return g.Role + " " + g.Statement + " " + g.Action }

// guard evaluates the policies of the template's roles, and notes which of their
// actions were used.
type guard struct {
	stack *Stack

	mu     sync.Mutex
	used   map[grant]bool
	denied []string
}

// allow says whether a role may do something. What is not allowed is denied.
func (g *guard) allow(role, action, resource string) error {
	r, ok := g.stack.Resources[role]
	if !ok {
		return fmt.Errorf("there is no role %s", role)
	}
	var by *grant
	for _, policy := range list(g.stack.get(r, "Policies")) {
		for _, statement := range list(object(object(policy)["PolicyDocument"])["Statement"]) {
			of := object(statement)
			matched := matchesAny(of["Action"], action)
			if matched == "" || matchesAny(of["Resource"], resource) == "" {
				continue
			}
			if text(of["Effect"]) == "Deny" {
				by = nil
				break
			}
			by = &grant{Role: role, Statement: text(of["Sid"]), Action: matched}
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if by != nil {
		g.used[*by] = true
		return nil
	}
	err := fmt.Errorf("%s is not allowed to do %s on %s", role, action, resource)
	g.denied = append(g.denied, err.Error())
	return err
}

// grants lists what a template allows.
func grants(t *Template) []grant {
	var all []grant
	for _, r := range t.of(typeRole) {
		for _, policy := range list(r.Properties["Policies"]) {
			for _, statement := range list(object(object(policy)["PolicyDocument"])["Statement"]) {
				for _, action := range list(object(statement)["Action"]) {
					all = append(all, grant{r.ID, text(object(statement)["Sid"]), text(action)})
				}
			}
		}
	}
	return all
}

// matchesAny gives the first pattern that matches, or "".
func matchesAny(patterns any, value string) string {
	for _, p := range list(patterns) {
		if matches(text(p), value) {
			return text(p)
		}
	}
	return ""
}

func matches(pattern, value string) bool {
	quoted := regexp.QuoteMeta(pattern)
	quoted = strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(quoted)
	return regexp.MustCompile("^(?i:" + quoted + ")$").MatchString(value)
}

// resourcePolicyAllows says whether a policy of a resource lets a service act for
// the resource that is its source.
func resourcePolicyAllows(document any, service, action, resource, source string) bool {
	for _, statement := range list(object(document)["Statement"]) {
		of := object(statement)
		if text(of["Effect"]) != "Allow" || matchesAny(object(of["Principal"])["Service"], service) == "" ||
			matchesAny(of["Action"], action) == "" || matchesAny(of["Resource"], resource) == "" {
			continue
		}
		met := true
		for _, operator := range object(of["Condition"]) {
			for key, values := range object(operator) {
				switch strings.ToLower(key) {
				case "aws:sourcearn":
					met = met && matchesAny(values, source) != ""
				case "aws:sourceaccount":
					met = met && matchesAny(values, account) != ""
				default:
					met = false
				}
			}
		}
		if met {
			return true
		}
	}
	return false
}
