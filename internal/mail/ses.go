package mail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	sestypes "github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/aws/smithy-go"

	"github.com/restock/restock"
)

// SES hands mails to Amazon SES, by its API of version 2.
//
// Each mail is one call, and a call that fails is not repeated here: whoever
// sends has a queue, and knows when to come again. SES replaces the Message-ID
// by one of its own, so that there a repeat cannot be told from another mail.
type SES struct {
	target  sesTarget
	client  *sesv2.Client
	timeout time.Duration
}

var _ Sender = (*SES)(nil)

// sesTarget is what the URL says.
type sesTarget struct {
	region        string // "" is that of the SDK's default chain
	configuration string // the configuration set, "" is that of the identity
	endpoint      string // "" is that of AWS
}

// sesTagKind is the message tag under which SES counts each sort of mail.
const sesTagKind = "kind"

// credentialsTimeout bounds the look for credentials at the start.
const credentialsTimeout = 10 * time.Second

// NewSES reads the URL as described at Open. It makes no call.
func NewSES(rawURL string, cfg Config) (*SES, error) {
	target, err := parseSES(rawURL)
	if err != nil {
		return nil, err
	}
	settings, err := loadAWS(target, cfg)
	if err != nil {
		return nil, err
	}
	return &SES{target: target, client: sesv2.NewFromConfig(settings), timeout: cmp.Or(cfg.Timeout, ConversationTimeout)}, nil
}

// loadAWS asks the default chain of the SDK where we are and who we are.
func loadAWS(target sesTarget, cfg Config) (aws.Config, error) {
	ctx, cancel := context.WithTimeout(context.Background(), credentialsTimeout)
	defer cancel()
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		if cfg.Dial != nil {
			t.DialContext = cfg.Dial
		}
		if cfg.TLS != nil {
			t.TLSClientConfig = cfg.TLS.Clone()
		}
	}).WithDialerOptions(func(d *net.Dialer) { d.Timeout = cmp.Or(cfg.DialTimeout, DialTimeout) })
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(client),
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }),
	}
	if target.region != "" {
		options = append(options, config.WithRegion(target.region))
	}
	if target.endpoint != "" {
		options = append(options, config.WithBaseEndpoint(target.endpoint))
	}
	settings, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("load the AWS configuration for mail: %w", err)
	}
	if settings.Region == "" {
		return aws.Config{}, invalid("no AWS region for mail: write ses:ap-northeast-2, or set AWS_REGION")
	}
	return settings, nil
}

// String is the URL.
func (s *SES) String() string { return s.target.String() }

func (t sesTarget) String() string {
	values := url.Values{}
	for name, value := range map[string]string{sesConfigurationSet: t.configuration, sesEndpoint: t.endpoint} {
		if value != "" {
			values.Set(name, value)
		}
	}
	text := schemeSES + ":" + t.region
	if len(values) > 0 {
		text += "?" + values.Encode()
	}
	return text
}

// Send hands the mail to SES. What SES says against this mail is permanent; what
// it says against us, or the moment, is worth a repeat.
func (s *SES) Send(ctx context.Context, m Message) error {
	l, err := compose(m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	_, err = s.client.SendEmail(ctx, &sesv2.SendEmailInput{
		FromEmailAddress:     aws.String(l.from),
		Destination:          &sestypes.Destination{ToAddresses: []string{l.to}},
		Content:              &sestypes.EmailContent{Raw: &sestypes.RawMessage{Data: l.content}},
		ConfigurationSetName: optional(s.target.configuration),
		EmailTags:            sesTags(m.Kind),
	})
	if err != nil {
		return s.failure(ctx, err)
	}
	return nil
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// sesTagValues is what SES takes as the value of a tag.
var sesTagValues = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)

func sesTags(kind string) []sestypes.MessageTag {
	if !sesTagValues.MatchString(kind) {
		return nil
	}
	return []sestypes.MessageTag{{Name: aws.String(sesTagKind), Value: aws.String(kind)}}
}

// failure gives the error its kind and keeps the words of SES in it.
func (s *SES) failure(ctx context.Context, err error) error {
	answer, answered := errors.AsType[smithy.APIError](err)
	if !answered {
		return s.unanswered(ctx, err)
	}
	words := oneLine(answer.ErrorCode()+": "+answer.ErrorMessage(), wordsRunesMax)
	if refusesMail(err) {
		return invalid("Amazon SES refused the mail for good: %s; correct the address or the mail, or have the address verified, then send it again", words)
	}
	e := restock.Errorf(restock.Unavailable, restock.CodeUnavailable, "Amazon SES did not take the mail: %s; %s", words, sesAdvice(err))
	if response, ok := errors.AsType[*awshttp.ResponseError](err); ok && response.HTTPStatusCode() >= http.StatusInternalServerError {
		return e // whatever went wrong there may have gone wrong after it was taken
	}
	return &untakenError{error: e, postponed: isThrottled(err)}
}

// unanswered is a call of which nobody knows what became, unless there was not
// even a connection.
func (s *SES) unanswered(ctx context.Context, err error) error {
	e := restock.Errorf(restock.Unavailable, restock.CodeUnavailable, "Amazon SES did not answer: %s; try again later",
		oneLine(err.Error(), wordsRunesMax))
	e.Err = ctx.Err()
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return &untakenError{error: e}
	}
	if _, ok := errors.AsType[*smithy.OperationError](err); ok && strings.Contains(err.Error(), "credentials") {
		return &untakenError{error: e} // it was not even signed
	}
	return e
}

// refusesMail tells a refusal of this mail from one of us.
func refusesMail(err error) bool {
	return errors.As(err, new(*sestypes.MessageRejected)) || errors.As(err, new(*sestypes.BadRequestException))
}

// isThrottled says that mails come too fast, or that the quota of the day is
// used up: the same mail will be taken later.
func isThrottled(err error) bool {
	if errors.As(err, new(*sestypes.TooManyRequestsException)) || errors.As(err, new(*sestypes.LimitExceededException)) {
		return true
	}
	answer, ok := errors.AsType[smithy.APIError](err)
	return ok && strings.Contains(answer.ErrorCode(), "Throttl")
}

func sesAdvice(err error) string {
	switch {
	case isThrottled(err):
		return "the account sends more than its quota; it is tried again, see the quota in the SES console"
	case errors.As(err, new(*sestypes.MailFromDomainNotVerifiedException)):
		return "verify the domain of the sender with SES"
	case errors.As(err, new(*sestypes.NotFoundException)):
		return "make the configuration set, or name another one"
	case errors.As(err, new(*sestypes.AccountSuspendedException)), errors.As(err, new(*sestypes.SendingPausedException)):
		return "SES has stopped this account from sending: see its reputation in the SES console"
	}
	return "try again later"
}

// The parameters of the URL.
const (
	sesConfigurationSet = "configuration-set"
	sesEndpoint         = "endpoint"
)

var (
	sesRegions        = regexp.MustCompile(`^([a-z]{2,}(-[a-z]+)+-\d+)?$`)
	sesConfigurations = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
)

func parseSES(rawURL string) (sesTarget, error) {
	rest, ok := strings.CutPrefix(rawURL, schemeSES+":")
	if !ok {
		return sesTarget{}, invalidURL("begins with something else")
	}
	region, query, _ := strings.Cut(strings.TrimPrefix(rest, "//"), "?")
	t := sesTarget{region: region}
	if !sesRegions.MatchString(region) {
		return t, invalidURL("names no region of AWS, such as ap-northeast-2")
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return t, invalidURL("has parameters that cannot be read")
	}
	for name, all := range values {
		switch value := all[0]; {
		case len(all) > 1:
			return t, invalidURL("has a parameter twice")
		case name == sesConfigurationSet && sesConfigurations.MatchString(value):
			t.configuration = value
		case name == sesEndpoint && isEndpoint(value):
			t.endpoint = value
		default:
			return t, invalidURL("has a parameter that SES does not take")
		}
	}
	return t, nil
}

func isEndpoint(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
}
