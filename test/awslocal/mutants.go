package awslocal

import (
	"slices"
	"strings"
)

// Mutant is a template that lacks something, and what a story has to name.
type Mutant struct {
	Name     string
	Template *Template
	// Names are the words of which the failure has to have all.
	Names []string
}

// Mutants takes out, one at a time, each subscription, filter, redrive policy,
// event source, route and right of the template, and sets one visibility timeout
// below its function's.
func Mutants(t *Template) []Mutant {
	var all []Mutant
	without := func(name string, names []string, change func(c *Template)) {
		c := t.Clone()
		change(c)
		all = append(all, Mutant{Name: name, Template: c, Names: names})
	}
	for _, r := range t.of(typeSubscription) {
		if text(r.Properties["Protocol"]) != "sqs" {
			continue
		}
		without("subscription "+r.ID, []string{r.ID}, func(c *Template) { delete(c.Resources, r.ID) })
		for _, property := range []string{"FilterPolicy", "RedrivePolicy"} {
			if r.Properties[property] != nil {
				without(property+" of "+r.ID, []string{r.ID, property}, func(c *Template) { delete(c.Resources[r.ID].Properties, property) })
			}
		}
	}
	for _, r := range t.of(typeQueue) {
		if r.Properties["RedrivePolicy"] != nil {
			without("RedrivePolicy of "+r.ID, []string{r.ID, "RedrivePolicy"}, func(c *Template) { delete(c.Resources[r.ID].Properties, "RedrivePolicy") })
		}
	}
	for _, r := range t.of(typeFunction) {
		for name, e := range object(r.Properties["Events"]) {
			without("event source "+r.ID+"."+name, []string{r.ID + "." + name}, func(c *Template) {
				delete(object(c.Resources[r.ID].Properties["Events"]), name)
			})
			if queue := list(object(object(object(e)["Properties"])["Queue"])["Fn::GetAtt"]); len(queue) > 0 {
				without("short visibility of "+text(queue[0]), []string{text(queue[0]), "visibility"}, func(c *Template) {
					c.Resources[text(queue[0])].Properties["VisibilityTimeout"] = 5
				})
			}
		}
	}
	for _, r := range t.of(typeRoute, typePermission, typeQueuePolicy, typeTopicPolicy, typeMailEvents) {
		without(strings.TrimPrefix(r.Type, "AWS::")+" "+r.ID, []string{r.ID}, func(c *Template) { delete(c.Resources, r.ID) })
	}
	for _, g := range grants(t) {
		without("right "+g.String(), []string{g.Role, g.Action}, func(c *Template) { takeAway(c.Resources[g.Role], g) })
	}
	slices.SortFunc(all, func(a, b Mutant) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// takeAway takes one action out of a statement of a role.
func takeAway(role *Resource, g grant) {
	for _, policy := range list(role.Properties["Policies"]) {
		for _, statement := range list(object(object(policy)["PolicyDocument"])["Statement"]) {
			of := object(statement)
			if text(of["Sid"]) == g.Statement {
				of["Action"] = slices.DeleteFunc(slices.Clone(list(of["Action"])), func(a any) bool { return text(a) == g.Action })
			}
		}
	}
}
