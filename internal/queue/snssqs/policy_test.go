package snssqs

import "testing"

// TestAPolicyMustLetTheTopicSend: what is said otherwise, or less, does not.
func TestAPolicyMustLetTheTopicSend(t *testing.T) {
	t.Parallel()
	const queue, topic = "arn:aws:sqs:a:1:q", "arn:aws:sns:a:1:t"
	statement := func(s string) string { return `{"Statement":[` + s + `]}` }
	ours, err := let("", queue, topic)
	if err != nil {
		t.Fatal(err)
	}
	for policy, want := range map[string]bool{
		"":                           false,
		"{}":                         false,
		"no JSON":                    false,
		"[1]":                        false,
		`{"Statement":[1,"a",null]}`: false,
		ours:                         true,
		statement(`{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}`):                                                                                                                      true,
		statement(`{"Effect":"Allow","Principal":{"Service":["sns.amazonaws.com"]},"Action":"sqs:*","Resource":"` + queue + `"}`):                                                                        true,
		statement(`{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}`):                                                                                                                       false,
		statement(`{"Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"}`):                                                                             false,
		statement(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::1:root"},"Action":"sqs:SendMessage","Resource":"*"}`):                                                                              false,
		statement(`{"Effect":"Allow","Principal":"*","Action":"sqs:ReceiveMessage","Resource":"*"}`):                                                                                                     false,
		statement(`{"Effect":"Allow","Principal":"*","Action":"*","Resource":"arn:aws:sqs:a:1:other"}`):                                                                                                  false,
		statement(`{"Effect":"Allow","Principal":"*","NotAction":"sqs:SendMessage","Action":"*","Resource":"*"}`):                                                                                        false,
		statement(`{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"ArnEquals":{"aws:SourceArn":"arn:aws:sns:a:1:other"}}}`):                                                  false,
		statement(`{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"ArnNotEquals":{"aws:SourceArn":"` + topic + `"}}}`):                                                       false,
		statement(`{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"ArnEquals":{"aws:SourceArn":"` + topic + `"},"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}`):                false,
		statement(`{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"ForAnyValue:StringEquals":{"aws:PrincipalTag/a":"b"}}}`):                                                  false,
		statement(`{"Effect":"Allow","Principal":"*","Action":"sqs:SendMessage","Resource":["x","` + queue + `"],"Condition":{"StringEquals":{"AWS:SourceArn":["x","` + topic + `"]}}},{"Sid":"other"}`): true,
	} {
		if got := lets(policy, queue, topic); got != want {
			t.Errorf("lets = %t, want %t: %s", got, want, policy)
		}
		mended, err := let(policy, queue, topic)
		if err == nil && !lets(mended, queue, topic) {
			t.Errorf("after mending it still does not: %s", mended)
		}
	}
}
