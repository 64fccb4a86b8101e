package snssqs_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// answers is an SQS that gives the answers that a real one gives rarely. It is
// told between calls, not beside them.
type answers struct {
	batch      string // the answer to a SendMessageBatch; "" takes all
	refuseBody string // a batch with this body in it is refused as a whole
	fail       string // CODE:MESSAGE of every call but a receive; "" is none
	empty      bool   // there is nothing to receive
	receives   int
	asked      []receiveRequest
	calls      []string // the actions that were asked for
	sent       sentMessage
}

// receiveRequest is what a ReceiveMessage asks for.
type receiveRequest struct {
	Max        int `json:"MaxNumberOfMessages"`
	Visibility int `json:"VisibilityTimeout"`
	Wait       int `json:"WaitTimeSeconds"`
}

// sentMessage is the latest SendMessage.
type sentMessage struct {
	Delay      int `json:"DelaySeconds"`
	Attributes map[string]struct {
		Value string `json:"StringValue"`
	} `json:"MessageAttributes"`
}

func (a *answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	action := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")
	a.calls = append(a.calls, action)
	switch {
	case action == "GetQueueUrl":
		fmt.Fprint(w, `{"QueueUrl":"http://sqs.test/1/queue"}`)
	case action == "ReceiveMessage":
		var asked receiveRequest
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		a.asked = append(a.asked, asked)
		if a.empty {
			fmt.Fprint(w, `{}`)
			return
		}
		a.receives++
		fmt.Fprintf(w, `{"Messages":[{"MessageId":"m","ReceiptHandle":"handle %d","Body":"b"}]}`, a.receives)
	case a.fail != "":
		code, message, _ := strings.Cut(a.fail, ":")
		refuse(w, code, message)
	case action == "SendMessageBatch":
		a.sendBatch(w, r)
	case action == "SendMessage":
		a.sent = sentMessage{}
		if err := json.NewDecoder(r.Body).Decode(&a.sent); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprint(w, `{"MessageId":"copy"}`)
	default:
		fmt.Fprint(w, `{}`)
	}
}

func (a *answers) sendBatch(w http.ResponseWriter, r *http.Request) {
	var sent struct {
		Entries []struct {
			ID   string `json:"Id"`
			Body string `json:"MessageBody"`
		} `json:"Entries"`
	}
	if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if a.batch != "" {
		fmt.Fprint(w, a.batch)
		return
	}
	var taken []string
	for _, entry := range sent.Entries {
		if a.refuseBody != "" && entry.Body == a.refuseBody {
			refuse(w, "InvalidMessageContents", "characters that are not allowed")
			return
		}
		taken = append(taken, fmt.Sprintf(`{"Id":%q,"MessageId":"m"}`, entry.ID))
	}
	fmt.Fprintf(w, `{"Successful":[%s]}`, strings.Join(taken, ","))
}

func refuse(w http.ResponseWriter, code, message string) {
	w.WriteHeader(http.StatusBadRequest)
	fmt.Fprintf(w, `{"__type":"com.amazonaws.sqs#%s","message":%q}`, code, message)
}
