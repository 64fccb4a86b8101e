package snssqs

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/restock/restock/internal/queue/driver"
)

// A policy of AWS is JSON, and the same policy can be written in many ways. So
// policies are compared by what they say, and only what is ours is changed.

// statementID names the statement of a queue's policy that is ours.
const statementID = "RestockTopic"

// lets says whether a queue's policy lets the topic send to it.
func lets(policy, queueARN, topicARN string) bool {
	document, err := readPolicy(policy)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(document.statements(), func(s map[string]any) bool {
		return s["Effect"] == "Allow" && s["NotPrincipal"] == nil && s["NotAction"] == nil && s["NotResource"] == nil &&
			isSNS(s["Principal"]) && isSend(s["Action"]) && has(s["Resource"], queueARN, "*") &&
			isFrom(s["Condition"], topicARN)
	})
}

// let gives a queue's policy with our statement in it. Statements of others
// stay as they are.
func let(policy, queueARN, topicARN string) (string, error) {
	document, err := readPolicy(policy)
	if err != nil {
		return "", err
	}
	statements := slices.DeleteFunc(document.statements(), func(s map[string]any) bool { return s["Sid"] == statementID })
	document["Statement"] = append(statements, map[string]any{
		"Sid":       statementID,
		"Effect":    "Allow",
		"Principal": map[string]any{"Service": "sns.amazonaws.com"},
		"Action":    "sqs:SendMessage",
		"Resource":  queueARN,
		"Condition": map[string]any{"ArnEquals": map[string]any{"aws:SourceArn": topicARN}},
	})
	return toJSON(document), nil
}

// policyDocument is a policy with whatever is in it.
type policyDocument map[string]any

func readPolicy(policy string) (policyDocument, error) {
	document := policyDocument{"Version": "2012-10-17"}
	if policy == "" {
		return document, nil
	}
	if err := json.Unmarshal([]byte(policy), &document); err != nil {
		return nil, fmt.Errorf("the policy is not JSON: %w", err)
	}
	return document, nil
}

// statements reads one statement or a list of them.
func (d policyDocument) statements() []map[string]any {
	var all []map[string]any
	for _, one := range list(d["Statement"]) {
		if s, ok := one.(map[string]any); ok {
			all = append(all, s)
		}
	}
	return all
}

func isSNS(principal any) bool {
	if by, ok := principal.(map[string]any); ok {
		return has(by["Service"], "sns.amazonaws.com") || has(by["AWS"], "*")
	}
	return has(principal, "*")
}

func isSend(action any) bool {
	return slices.ContainsFunc(list(action), func(one any) bool {
		name, _ := one.(string)
		return slices.Contains([]string{"sqs:sendmessage", "sqs:*", "*"}, strings.ToLower(name))
	})
}

// isFrom says whether a condition is that the topic sends, and no other.
func isFrom(condition any, topicARN string) bool {
	if condition == nil {
		return true
	}
	operators, _ := condition.(map[string]any)
	for operator, keys := range operators {
		of, _ := keys.(map[string]any)
		for key, values := range of {
			if !slices.Contains([]string{"ArnEquals", "ArnLike", "StringEquals", "StringLike"}, operator) ||
				!strings.EqualFold(key, "aws:SourceArn") || !has(values, topicARN) {
				return false
			}
		}
	}
	return len(operators) > 0
}

// has says whether a value, or one of a list, is one of these.
func has(value any, wanted ...string) bool {
	return slices.ContainsFunc(list(value), func(one any) bool {
		text, ok := one.(string)
		return ok && slices.Contains(wanted, text)
	})
}

// list reads a value that may stand alone or in a list.
func list(value any) []any {
	switch value := value.(type) {
	case nil:
		return nil
	case []any:
		return value
	default:
		return []any{value}
	}
}

// redrivePolicy is of a queue, or of a subscription, which has no count.
type redrivePolicy struct {
	Target      string `json:"deadLetterTargetArn"`
	ReceivesMax string `json:"maxReceiveCount,omitempty"`
}

// sameRedrive compares by what is said: the count may be a number or a text.
func sameRedrive(have string, want redrivePolicy) bool {
	var read struct {
		Target      string `json:"deadLetterTargetArn"`
		ReceivesMax any    `json:"maxReceiveCount"`
	}
	if json.Unmarshal([]byte(have), &read) != nil {
		return false
	}
	count := ""
	switch n := read.ReceivesMax.(type) {
	case string:
		count = n
	case float64:
		count = strconv.FormatFloat(n, 'f', -1, 64)
	}
	return read.Target == want.Target && count == want.ReceivesMax
}

// filterOf gives the filter policy of a route's subscription; "{}" takes every
// message. False: the topic has nothing for this queue.
//
// Who gets the rest gets what no other route names, and what has no type at
// all. SNS drops one kind whatever the policy: a message without any attribute.
func filterOf(route driver.Route, routes []driver.Route) (string, bool) {
	if !route.Rest {
		return toJSON(map[string]any{attributeType: route.Types}), len(route.Types) > 0
	}
	var others []string
	for _, other := range routes {
		if other.Queue != route.Queue {
			others = append(others, other.Types...)
		}
	}
	slices.Sort(others)
	others = slices.DeleteFunc(slices.Compact(others), func(t string) bool { return slices.Contains(route.Types, t) })
	if len(others) == 0 {
		return "{}", true
	}
	return toJSON(map[string]any{attributeType: []any{
		map[string]any{"anything-but": others}, map[string]any{"exists": false},
	}}), true
}

// sameFilter compares two filter policies; the order in a list has no meaning.
func sameFilter(have, want string) bool {
	if have == "" {
		have = "{}"
	}
	var a, b any
	if json.Unmarshal([]byte(have), &a) != nil || json.Unmarshal([]byte(want), &b) != nil {
		return false
	}
	return reflect.DeepEqual(unordered(a), unordered(b))
}

// unordered sorts all lists by their text.
func unordered(value any) any {
	switch value := value.(type) {
	case []any:
		sorted := make([]any, len(value))
		for i, one := range value {
			sorted[i] = unordered(one)
		}
		slices.SortFunc(sorted, func(a, b any) int { return strings.Compare(toJSON(a), toJSON(b)) })
		return sorted
	case map[string]any:
		for key, one := range value {
			value[key] = unordered(one)
		}
	}
	return value
}

func toJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // all that is given here is texts, lists and maps
	}
	return string(text)
}
