// Package awslocal runs the stack of deploy/aws on this machine, as far as that
// can be done: it reads the template, creates its topics, queues, policies and
// subscriptions in an emulator of SNS and SQS, and runs the functions themselves,
// as processes that get their events from a Lambda runtime API, with an HTTP front
// for their addresses, MariaDB as the database and an emulator of SES for mail.
// Every call of a function goes through a gate that asks the role of the function.
//
// All wiring comes from the template: nothing here knows the name of a topic, a
// queue or a function.
//
// Not imitated: the signatures of requests (only the key is looked at); the
// condition keys of IAM but for the source of a resource's policy; permission
// boundaries, KMS and the encryption of queues; the network (VPC, NAT, security
// groups) but for the right to use one; alarms, metrics and log groups, but for the
// right to write them; API Gateway's own limits and its throttling; scaling of the
// event sources over time; the freezing of instances between two events; memory
// limits; SES sandbox, suppression list and rates. A minute of a schedule lasts a
// second here after the last run has ended.
package awslocal

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// Machines are the servers around a cloud: many clouds, one after another, share
// them.
type Machines struct {
	Messages string // SNS and SQS
	Mail     string // SES
	// Database is a server of MySQL's kind, as mysql://root@HOST:PORT.
	Database  string
	Bootstrap string // the built program
}

// Config is what a cloud is made of.
type Config struct {
	Machines

	Template   *Template
	Shipped    *Template // what the template should be; the same when left out
	Parameters map[string]string
	Catalog    []byte
	Folder     string // for the logs of the functions
	// Before is called with the address of the database before anything is in it.
	Before func(ctx context.Context, database string) error
	Chaos  *Chaos
}

// Cloud is one stack that runs.
type Cloud struct {
	Config

	stack          *Stack
	shipped        *Stack
	guard          *guard
	chaos          *Chaos
	sns            *sns.Client
	sqs            *sqs.Client
	functions      map[string]*function // by the ids of their resources
	byARN          map[string]*function
	runtimeAddress string
	gateAddress    string
	folder         string
	code           string // where the functions' files are
	bootstrap      string
	databaseURL    string

	instances sync.Map
	ids       atomic.Int64
	ticks     atomic.Int64

	mu       sync.Mutex
	faults   []string
	seen     map[string]bool            // parts of the template that were at work
	topics   map[string]map[string]bool // types of messages that were published, by topic
	arrived  map[string]map[string]bool // types that were received, by queue
	broken   map[string]bool            // queues that SNS cannot reach, by ARN
	subs     map[string]string          // ARNs of subscriptions, by the ids of their resources
	stopping context.CancelFunc
	running  sync.WaitGroup
	servers  []*http.Server
}

// note is a message on its way to a topic.
type note struct {
	body       string
	attributes map[string]string
}

func (n note) kind() string {
	if t, ok := n.attributes["type"]; ok {
		return t
	}
	return noType
}

// noType stands for the type of a message that has none.
const noType = "(none)"

// Deploy makes a stack of a template, as CloudFormation would: an error is what
// would roll it back.
func Deploy(ctx context.Context, cfg Config, name string) (c *Cloud, err error) {
	defer func() {
		if cause := recover(); cause != nil { // a function of the template that leads nowhere
			err = fmt.Errorf("deploy: %v", cause)
		}
		if err != nil && c != nil {
			c.Close()
		}
	}()
	if cfg.Shipped == nil {
		cfg.Shipped = cfg.Template
	}
	if cfg.Chaos == nil {
		cfg.Chaos = &Chaos{}
	}
	c = &Cloud{
		Config: cfg, chaos: cfg.Chaos, functions: map[string]*function{}, byARN: map[string]*function{}, folder: cfg.Folder, bootstrap: cfg.Bootstrap,
		seen: map[string]bool{}, topics: map[string]map[string]bool{}, arrived: map[string]map[string]bool{}, broken: map[string]bool{}, subs: map[string]string{},
	}
	if c.stack, err = NewStack(cfg.Template, name, cfg.Parameters); err != nil {
		return c, err
	}
	if c.shipped, err = NewStack(cfg.Shipped, name, cfg.Parameters); err != nil {
		return c, err
	}
	c.guard = &guard{stack: c.stack, used: map[grant]bool{}}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	c.stopping = stop
	for _, step := range []func(context.Context) error{
		c.prepare, c.makeDatabase, c.makeMessages, c.makeFunctions, c.runSetups, c.checkEventSources,
	} {
		if err := step(ctx); err != nil {
			return c, fmt.Errorf("deploy: %w", err)
		}
	}
	c.startEventSources(running)
	return c, nil
}

// prepare opens the addresses of the cloud itself.
func (c *Cloud) prepare(ctx context.Context) error {
	settings := aws.Config{
		Region: region, BaseEndpoint: aws.String(c.Messages),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "cloud", SecretAccessKey: "cloud"}, nil
		}),
	}
	c.sns, c.sqs = sns.NewFromConfig(settings), sqs.NewFromConfig(settings)
	c.code = filepath.Join(c.folder, "code")
	if err := os.MkdirAll(c.code, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(c.code, "catalog.yaml"), c.Catalog, 0o600); err != nil {
		return err
	}
	g, err := newGate(c, c.Messages, c.Mail)
	if err != nil {
		return err
	}
	if c.gateAddress, err = c.serve(ctx, g); err != nil {
		return err
	}
	c.runtimeAddress, err = c.serve(ctx, http.HandlerFunc(c.serveRuntime))
	c.runtimeAddress = strings.TrimPrefix(c.runtimeAddress, "http://")
	return err
}

// serve opens an address on this machine.
func (c *Cloud) serve(ctx context.Context, h http.Handler) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s := &http.Server{Handler: h}
	c.servers = append(c.servers, s)
	go s.Serve(l)
	return "http://" + l.Addr().String(), nil
}

func (c *Cloud) newID() string {
	return fmt.Sprintf("%08x-0000-4000-8000-%012x", os.Getpid(), c.ids.Add(1))
}

// fault notes what should not happen. The story ends at the first.
func (c *Cloud) fault(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

// Fault is the first thing that should not have happened, if any.
func (c *Cloud) Fault() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.faults) == 0 {
		return nil
	}
	return errors.New(c.faults[0])
}

// worked notes that a part of the template did its work.
func (c *Cloud) worked(part string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[part] = true
}

// Seen reports whether a part was at work.
func (c *Cloud) Seen(part string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[part]
}

// makeDatabase makes the database that the template describes on the server that
// stands for all of RDS.
func (c *Cloud) makeDatabase(ctx context.Context) error {
	u, err := url.Parse(c.Database)
	if err != nil {
		return err
	}
	for _, r := range c.stack.made(typeDatabase) {
		name, user := c.stack.text(r, "DBName"), c.stack.text(r, "MasterUsername")
		password := c.stack.text(r, "MasterUserPassword")
		c.stack.know(r.ID, "Endpoint.Address", u.Hostname())
		c.stack.know(r.ID, "Endpoint.Port", u.Port())
		c.databaseURL = "mysql://root@" + u.Host + "/" + name
		db, err := sql.Open("mysql", "root@tcp("+u.Host+")/")
		if err != nil {
			return err
		}
		defer db.Close()
		for _, statement := range []string{
			"DROP DATABASE IF EXISTS `" + name + "`", "CREATE DATABASE `" + name + "` CHARACTER SET utf8mb4",
			"DROP USER IF EXISTS '" + user + "'@'%'", "CREATE USER '" + user + "'@'%' IDENTIFIED BY '" + password + "'",
			"GRANT ALL ON `" + name + "`.* TO '" + user + "'@'%'",
		} {
			if _, err := db.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("%s: %w", r.ID, err)
			}
		}
	}
	if c.Before != nil {
		return c.Before(ctx, c.databaseURL)
	}
	return nil
}

// makeMessages makes topics, queues, policies and subscriptions.
func (c *Cloud) makeMessages(ctx context.Context) error {
	for _, r := range c.stack.made(typeTopic) {
		out, err := c.sns.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String(c.stack.text(r, "TopicName"))})
		if err != nil {
			return fmt.Errorf("%s: %w", r.ID, err)
		}
		if got := aws.ToString(out.TopicArn); got != text(c.stack.ref(r.ID)) {
			return fmt.Errorf("%s is %s, and not %s", r.ID, got, c.stack.ref(r.ID))
		}
	}
	policies := map[string][]any{} // documents, by the addresses of queues
	for _, r := range c.queuesDeadFirst() {
		if err := c.makeQueue(ctx, r); err != nil {
			return fmt.Errorf("%s: %w", r.ID, err)
		}
	}
	for _, r := range c.stack.made(typeQueuePolicy) {
		for _, queue := range list(c.stack.get(r, "Queues")) {
			policies[text(queue)] = append(policies[text(queue)], c.stack.get(r, "PolicyDocument"))
		}
	}
	for address, documents := range policies {
		for _, document := range documents {
			if err := c.setQueue(ctx, address, "Policy", document); err != nil {
				return err
			}
		}
	}
	return c.subscribeAll(ctx)
}

// queuesDeadFirst lists those first that others move their dead letters to.
func (c *Cloud) queuesDeadFirst() []*Resource {
	all := c.stack.made(typeQueue)
	slices.SortStableFunc(all, func(a, b *Resource) int {
		return len(object(a.Properties["RedrivePolicy"])) - len(object(b.Properties["RedrivePolicy"]))
	})
	return all
}

func (c *Cloud) makeQueue(ctx context.Context, r *Resource) error {
	attributes := map[string]string{}
	for name := range r.Properties {
		switch value := c.stack.get(r, name); name {
		case "QueueName":
		case "RedrivePolicy":
			attributes[name] = toJSON(value)
		default:
			attributes[name] = text(value)
		}
	}
	out, err := c.sqs.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(c.stack.text(r, "QueueName")), Attributes: attributes})
	if err == nil {
		c.stack.know(r.ID, "QueueUrl", aws.ToString(out.QueueUrl))
		c.shipped.know(r.ID, "QueueUrl", aws.ToString(out.QueueUrl))
	}
	return err
}

func (c *Cloud) setQueue(ctx context.Context, address, name string, value any) error {
	_, err := c.sqs.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{
		QueueUrl: aws.String(address), Attributes: map[string]string{name: toJSON(value)},
	})
	return err
}

// subscribeAll makes those subscriptions that SNS could deliver to; for the others
// their messages are put where their redrive policies say.
func (c *Cloud) subscribeAll(ctx context.Context) error {
	for _, r := range c.stack.made(typeSubscription) {
		if c.stack.text(r, "Protocol") != "sqs" {
			continue
		}
		if !c.mayDeliver(r) || c.broken[c.stack.text(r, "Endpoint")] {
			continue
		}
		attributes := map[string]string{"RawMessageDelivery": text(c.stack.get(r, "RawMessageDelivery") == true)}
		for _, name := range []string{"FilterPolicyScope", "FilterPolicy", "RedrivePolicy"} {
			if value := c.stack.get(r, name); value != nil {
				attributes[name] = toJSON(value)
			}
		}
		out, err := c.sns.Subscribe(ctx, &sns.SubscribeInput{
			TopicArn: aws.String(c.stack.text(r, "TopicArn")), Protocol: aws.String("sqs"),
			Endpoint: aws.String(c.stack.text(r, "Endpoint")), Attributes: attributes, ReturnSubscriptionArn: true,
		})
		if err != nil {
			return fmt.Errorf("%s: %w", r.ID, err)
		}
		c.subs[r.ID] = aws.ToString(out.SubscriptionArn)
	}
	return nil
}

// mayDeliver says whether the policy of the queue lets the topic send.
func (c *Cloud) mayDeliver(subscription *Resource) bool {
	return c.maySend(c.stack.text(subscription, "Endpoint"), c.stack.text(subscription, "TopicArn"))
}

func (c *Cloud) maySend(queueARN, topicARN string) bool {
	address := ""
	for _, q := range c.stack.made(typeQueue) {
		if text(c.stack.attribute(q.ID, "Arn")) == queueARN {
			address = text(c.stack.ref(q.ID))
		}
	}
	for _, r := range c.stack.made(typeQueuePolicy) {
		if slices.Contains(list(c.stack.get(r, "Queues")), any(address)) &&
			resourcePolicyAllows(c.stack.get(r, "PolicyDocument"), "sns.amazonaws.com", "sqs:SendMessage", queueARN, topicARN) {
			c.worked(r.ID)
			return true
		}
	}
	return false
}

// Break lets SNS reach no queue that is subscribed, and Mend ends that.
func (c *Cloud) Break(ctx context.Context) error {
	for _, r := range c.stack.made(typeSubscription) {
		if c.subs[r.ID] == "" {
			continue
		}
		if _, err := c.sns.Unsubscribe(ctx, &sns.UnsubscribeInput{SubscriptionArn: aws.String(c.subs[r.ID])}); err != nil {
			return err
		}
		c.mu.Lock()
		c.broken[c.stack.text(r, "Endpoint")] = true
		delete(c.subs, r.ID)
		c.mu.Unlock()
	}
	return nil
}

// Mend lets SNS reach the queues again.
func (c *Cloud) Mend(ctx context.Context) error {
	c.mu.Lock()
	clear(c.broken)
	c.mu.Unlock()
	return c.subscribeAll(ctx)
}

// published notes what is on its way to a topic, and does what SNS would for
// subscriptions whose queue it cannot reach.
func (c *Cloud) published(topic string, n note) {
	c.mu.Lock()
	if c.topics[topic] == nil {
		c.topics[topic] = map[string]bool{}
	}
	c.topics[topic][n.kind()] = true
	c.mu.Unlock()
	for _, r := range c.stack.made(typeSubscription) {
		if c.stack.text(r, "TopicArn") != topic || c.stack.text(r, "Protocol") != "sqs" || !passes(c.stack.get(r, "FilterPolicy"), n) {
			continue
		}
		c.mu.Lock()
		broken := c.broken[c.stack.text(r, "Endpoint")]
		c.mu.Unlock()
		if !broken {
			if !c.mayDeliver(r) {
				c.fault("no policy lets %s send to its queue: %s is missing", r.ID, c.policyOf(c.stack.text(r, "Endpoint")))
			}
			continue
		}
		dead := text(object(c.stack.get(r, "RedrivePolicy"))["deadLetterTargetArn"])
		switch {
		case dead == "":
			c.fault("a message is lost: %s is missing", r.ID+redriveSuffix)
			continue
		case !c.maySend(dead, topic):
			c.fault("a message is lost: no policy lets %s send to its dead-letter queue: %s is missing", r.ID, c.policyOf(dead))
			continue
		}
		c.worked(r.ID + redriveSuffix)
		if err := c.put(context.Background(), dead, n); err != nil {
			c.fault("%s: %v", r.ID, err)
		}
	}
}

// shippedID finds a resource of the shipped template.
func (c *Cloud) shippedID(kind string, is func(*Stack, *Resource) bool) string {
	for _, r := range c.shipped.made(kind) {
		if is(c.shipped, r) {
			return r.ID
		}
	}
	return "one that the template should have"
}

// policyOf is the policy that a queue should have.
func (c *Cloud) policyOf(queueARN string) string {
	return c.shippedID(typeQueuePolicy, func(s *Stack, p *Resource) bool {
		for _, address := range list(s.get(p, "Queues")) {
			if strings.HasSuffix(text(address), "/"+queueARN[strings.LastIndexByte(queueARN, ':')+1:]) {
				return true
			}
		}
		return false
	})
}

// redriveSuffix and filterSuffix make the names of parts of a resource.
const (
	redriveSuffix = " RedrivePolicy"
	filterSuffix  = " FilterPolicy"
)

// put puts a message on a queue.
func (c *Cloud) put(ctx context.Context, queueARN string, n note) error {
	out, err := c.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(queueARN[strings.LastIndexByte(queueARN, ':')+1:])})
	if err != nil {
		return err
	}
	_, err = c.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: out.QueueUrl, MessageBody: aws.String(n.body), MessageAttributes: sqsAttributes(n.attributes)})
	return err
}

// Publish puts a message of somebody else on a topic.
func (c *Cloud) Publish(ctx context.Context, topic string, body string, attributes map[string]string) error {
	c.published(topic, note{body, attributes})
	_, err := c.sns.Publish(ctx, &sns.PublishInput{TopicArn: aws.String(topic), Message: aws.String(body), MessageAttributes: snsAttributes(attributes)})
	return err
}

// passes says whether a filter policy lets a message through, as far as the
// policies of the template go.
func passes(policy any, n note) bool {
	for name, conditions := range object(policy) {
		value, has := n.attributes[name]
		met := false
		for _, condition := range list(conditions) {
			switch condition := condition.(type) {
			case map[string]any:
				if but := list(condition["anything-but"]); but != nil {
					met = met || has && !slices.Contains(but, any(value))
				}
				if exists, ok := condition["exists"].(bool); ok {
					met = met || exists == has
				}
				if prefix, ok := condition["prefix"].(string); ok {
					met = met || has && strings.HasPrefix(value, prefix)
				}
			default:
				met = met || has && text(condition) == value
			}
		}
		if !met {
			return false
		}
	}
	return true
}

// makeFunctions makes the functions, with the addresses that they are reached by.
func (c *Cloud) makeFunctions(ctx context.Context) error {
	for _, r := range c.stack.made(typeAPI) {
		address, err := c.serve(ctx, &front{cloud: c, api: r.ID})
		if err != nil {
			return err
		}
		c.stack.know(r.ID, "ApiEndpoint", address)
	}
	for _, r := range c.stack.made(typeFunction) {
		f, err := c.makeFunction(r)
		if err != nil {
			return fmt.Errorf("%s: %w", r.ID, err)
		}
		c.functions[r.ID], c.byARN[text(c.stack.attribute(r.ID, "Arn"))] = f, f
		if r.Properties["FunctionUrlConfig"] != nil {
			address, err := c.serve(ctx, &front{cloud: c, function: f})
			if err != nil {
				return err
			}
			c.stack.know(r.ID+"Url", "FunctionUrl", address)
		}
	}
	return nil
}

func (c *Cloud) makeFunction(r *Resource) (*function, error) {
	role := c.stack.text(r, "Role")
	f := &function{cloud: c, id: r.ID, name: text(c.stack.ref(r.ID)), key: "KEY" + strings.ToUpper(r.ID), all: map[*instance]bool{}, concurrency: concurrencyMax}
	for _, candidate := range c.stack.made(typeRole) {
		if text(c.stack.attribute(candidate.ID, "Arn")) == role {
			f.role = candidate.ID
		}
	}
	if f.role == "" {
		return nil, fmt.Errorf("there is no role %s", role)
	}
	seconds, err := strconv.Atoi(c.stack.text(r, "Timeout"))
	if err != nil {
		return nil, fmt.Errorf("its timeout: %w", err)
	}
	f.timeout = time.Duration(seconds) * time.Second
	if limit := c.stack.text(r, "ReservedConcurrentExecutions"); limit != "" {
		if f.concurrency, err = strconv.Atoi(limit); err != nil {
			return nil, fmt.Errorf("its concurrency: %w", err)
		}
	}
	for name, value := range object(object(c.stack.get(r, "Environment"))["Variables"]) {
		f.environment = append(f.environment, name+"="+text(value))
	}
	f.environment = append(f.environment,
		"AWS_REGION="+region, "AWS_ACCESS_KEY_ID="+f.key, "AWS_SECRET_ACCESS_KEY=secret", "AWS_SESSION_TOKEN=token",
		"AWS_LAMBDA_FUNCTION_NAME="+f.name, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE="+c.stack.text(r, "MemorySize"), "AWS_ENDPOINT_URL="+c.gateAddress,
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_EC2_METADATA_DISABLED=true", "TZ=UTC", "GOMAXPROCS=2")
	return f, f.trusted(c.stack)
}

// trusted says whether Lambda may use the role of the function.
func (f *function) trusted(s *Stack) error {
	for _, statement := range list(object(s.get(s.Resources[f.role], "AssumeRolePolicyDocument"))["Statement"]) {
		of := object(statement)
		if matchesAny(object(of["Principal"])["Service"], "lambda.amazonaws.com") != "" && matchesAny(of["Action"], "sts:AssumeRole") != "" {
			return nil
		}
	}
	return fmt.Errorf("%s does not trust Lambda", f.role)
}

func (c *Cloud) roleOfKey(key string) (string, bool) {
	for _, f := range c.functions {
		if f.key == key {
			return f.role, true
		}
	}
	return "", false
}

// platformCalls are what Lambda does in the name of a function before it runs: it
// writes its log, and gives it a place in the network.
func (c *Cloud) platformCalls(f *function) error {
	r := c.stack.Resources[f.id]
	group := text(object(c.stack.get(r, "LoggingConfig"))["LogGroup"])
	actions := [][2]string{{"logs:CreateLogStream", arn("logs", "log-group:"+group+":*")}, {"logs:PutLogEvents", arn("logs", "log-group:"+group+":*")}}
	if r.Properties["VpcConfig"] != nil {
		for _, action := range []string{
			"CreateNetworkInterface", "DescribeNetworkInterfaces", "DescribeSubnets", "DeleteNetworkInterface",
			"AssignPrivateIpAddresses", "UnassignPrivateIpAddresses",
		} {
			actions = append(actions, [2]string{"ec2:" + action, "*"})
		}
	}
	for _, a := range actions {
		if err := c.guard.allow(f.role, a[0], a[1]); err != nil {
			c.fault("%v", err)
			return err
		}
	}
	return nil
}

// runSetups invokes the custom resources, and waits for their answers.
func (c *Cloud) runSetups(ctx context.Context) error {
	for _, id := range sortedIDs(c.stack.Resources) {
		r := c.stack.Resources[id]
		if !strings.HasPrefix(r.Type, customPrefix) {
			continue
		}
		f := c.byARN[c.stack.text(r, "ServiceToken")]
		if f == nil {
			return fmt.Errorf("%s: there is no function %s", id, c.stack.text(r, "ServiceToken"))
		}
		answers := make(chan []byte, 1)
		address, err := c.serve(ctx, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body) // an answer that breaks off is none
			answers <- body
		}))
		if err != nil {
			return err
		}
		event := map[string]any{
			"RequestType": "Create", "RequestId": c.newID(), "ResponseURL": address, "ResourceType": r.Type, "LogicalResourceId": id,
			"StackId": arn("cloudformation", "stack/"+c.stack.Name), "ResourceProperties": c.stack.resolve(r.Properties),
		}
		if _, err := f.invoke(ctx, []byte(toJSON(event))); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		var answer struct {
			Status string `json:"Status"`
			Reason string `json:"Reason"`
		}
		if err := json.Unmarshal(<-answers, &answer); err != nil || answer.Status != "SUCCESS" {
			return fmt.Errorf("%s: %s %s", id, answer.Status, answer.Reason)
		}
		c.worked(id)
	}
	return nil
}

func sortedIDs(all map[string]*Resource) []string {
	ids := make([]string, 0, len(all))
	for id := range all {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// API is the address of the API, and FunctionURL that of the function that has one
// of its own.
func (c *Cloud) API() string {
	for _, r := range c.stack.made(typeAPI) {
		return text(c.stack.attribute(r.ID, "ApiEndpoint"))
	}
	return ""
}

// FunctionURL is the first address of a function of its own.
func (c *Cloud) FunctionURL() string {
	for _, r := range c.stack.made(typeFunction) {
		if r.Properties["FunctionUrlConfig"] != nil {
			return text(c.stack.attribute(r.ID+"Url", "FunctionUrl"))
		}
	}
	return ""
}

// Secret finds a value among the secrets of the stack by its key.
func (c *Cloud) Secret(key string) string {
	for _, secret := range c.stack.secrets {
		of := map[string]string{}
		if json.Unmarshal([]byte(secret), &of) == nil && of[key] != "" {
			return of[key]
		}
	}
	return ""
}

// DatabaseURL is how somebody beside the functions opens the database.
func (c *Cloud) DatabaseURL() string { return c.databaseURL }

// Counts are what became of the events of each function.
func (c *Cloud) Counts() map[string]Counts {
	all := map[string]Counts{}
	for id, f := range c.functions {
		f.mu.Lock()
		all[id] = f.counts
		f.mu.Unlock()
	}
	return all
}

// Close ends the functions and everything that feeds them, and removes the queues.
func (c *Cloud) Close() {
	if c.stopping != nil {
		c.stopping()
	}
	c.running.Wait()
	for _, f := range c.functions {
		f.stop()
	}
	for _, s := range c.servers {
		s.Close()
	}
	if c.stack == nil || c.sqs == nil {
		return
	}
	ctx := context.Background()
	for id := range c.subs {
		c.sns.Unsubscribe(ctx, &sns.UnsubscribeInput{SubscriptionArn: aws.String(c.subs[id])})
	}
	for _, r := range c.stack.of(typeQueue) {
		if address, ok := c.stack.attributes[r.ID]["QueueUrl"]; ok {
			c.sqs.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: aws.String(address)})
		}
	}
}

func toJSON(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(err) // all values are texts, numbers, lists and maps
	}
	return strings.TrimSpace(out.String())
}
