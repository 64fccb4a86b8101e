package awslocal

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The types of resources that this cloud imitates.
const (
	typeFunction     = "AWS::Serverless::Function"
	typeTopic        = "AWS::SNS::Topic"
	typeTopicPolicy  = "AWS::SNS::TopicPolicy"
	typeSubscription = "AWS::SNS::Subscription"
	typeQueue        = "AWS::SQS::Queue"
	typeQueuePolicy  = "AWS::SQS::QueuePolicy"
	typeRole         = "AWS::IAM::Role"
	typeAPI          = "AWS::ApiGatewayV2::Api"
	typeIntegration  = "AWS::ApiGatewayV2::Integration"
	typeRoute        = "AWS::ApiGatewayV2::Route"
	typePermission   = "AWS::Lambda::Permission"
	typeSecret       = "AWS::SecretsManager::Secret"
	typeDatabase     = "AWS::RDS::DBInstance"
	typeMailSet      = "AWS::SES::ConfigurationSet"
	typeMailIdentity = "AWS::SES::EmailIdentity"
	typeMailEvents   = "AWS::SES::ConfigurationSetEventDestination"
	typeLogGroup     = "AWS::Logs::LogGroup"
	customPrefix     = "Custom::"
)

// Account and region of all that is made here, as the emulator has them.
const (
	account = "000000000000"
	region  = "us-east-1"
)

// Stack is a template with its parameters, whose functions can be resolved.
type Stack struct {
	*Template

	Name       string
	parameters map[string]any
	secrets    map[string]string            // values, by the ids of resources
	attributes map[string]map[string]string // what only the cloud knows, by id and name
}

// NewStack gives a template its parameters.
func NewStack(t *Template, name string, given map[string]string) (*Stack, error) {
	s := &Stack{Template: t, Name: name, parameters: map[string]any{}, secrets: map[string]string{}, attributes: map[string]map[string]string{}}
	for parameter, p := range t.Parameters {
		value, ok := given[parameter]
		switch {
		case ok:
			s.parameters[parameter] = value
		case p.Default != nil:
			s.parameters[parameter] = text(p.Default)
		default:
			return nil, fmt.Errorf("the parameter %s is needed", parameter)
		}
	}
	for parameter := range given {
		if _, ok := t.Parameters[parameter]; !ok {
			return nil, fmt.Errorf("the template has no parameter %s", parameter)
		}
	}
	for _, r := range s.made(typeSecret) {
		if err := s.makeSecret(r); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// made lists the resources of some types that this stack has.
func (s *Stack) made(kinds ...string) []*Resource {
	return slices.DeleteFunc(s.of(kinds...), func(r *Resource) bool { return !s.has(r) })
}

func (s *Stack) has(r *Resource) bool {
	return r.Condition == "" || s.condition(map[string]any{"Condition": r.Condition})
}

// makeSecret makes up a secret as its resource says.
func (s *Stack) makeSecret(r *Resource) error {
	how := object(r.Properties["GenerateSecretString"])
	of := map[string]string{}
	if err := json.Unmarshal([]byte(text(how["SecretStringTemplate"])), &of); err != nil {
		return fmt.Errorf("%s: %w", r.ID, err)
	}
	random := make([]byte, 32)
	rand.Read(random) // hexadecimal digits are letters and digits
	of[text(how["GenerateStringKey"])] = hex.EncodeToString(random)
	value, err := json.Marshal(of)
	s.secrets[r.ID] = string(value)
	return err
}

// know tells the stack an attribute of a resource.
func (s *Stack) know(id, attribute, value string) {
	if s.attributes[id] == nil {
		s.attributes[id] = map[string]string{}
	}
	s.attributes[id][attribute] = value
}

// get gives a property of a resource.
func (s *Stack) get(r *Resource, name string) any { return s.resolve(r.Properties[name]) }

func (s *Stack) text(r *Resource, name string) string { return text(s.get(r, name)) }

// resolve carries out all functions in a value. What cannot be resolved is an
// error of the template, and ends the run.
func (s *Stack) resolve(value any) any {
	switch value := value.(type) {
	case []any:
		all := make([]any, 0, len(value))
		for _, one := range value {
			if got := s.resolve(one); got != nil {
				all = append(all, got)
			}
		}
		return all
	case map[string]any:
		if len(value) == 1 {
			for name, argument := range value {
				if name == "Ref" || strings.HasPrefix(name, "Fn::") {
					return s.function(name, argument)
				}
			}
		}
		all := make(map[string]any, len(value))
		for name, one := range value {
			if got := s.resolve(one); got != nil {
				all[name] = got
			}
		}
		return all
	case string:
		return s.secretsIn(value)
	}
	return value
}

func (s *Stack) function(name string, argument any) any {
	switch name {
	case "Ref":
		return s.ref(text(argument))
	case "Fn::GetAtt":
		path := list(argument)
		return s.attribute(text(path[0]), text(s.resolve(path[1])))
	case "Fn::Sub":
		return s.sub(argument)
	case "Fn::Join":
		parts := list(argument)
		var all []string
		for _, one := range list(s.resolve(parts[1])) {
			all = append(all, text(one))
		}
		return strings.Join(all, text(parts[0]))
	case "Fn::If":
		parts := list(argument)
		if s.condition(map[string]any{"Condition": parts[0]}) {
			return s.resolve(parts[1])
		}
		return s.resolve(parts[2])
	case "Fn::Select":
		parts := list(argument)
		all := list(s.resolve(parts[1]))
		var n int
		fmt.Sscan(text(parts[0]), &n)
		return all[n]
	case "Fn::GetAZs":
		return []any{region + "a", region + "b", region + "c"}
	}
	panic(fmt.Sprintf("the template uses %s, which this cloud does not know", name))
}

// condition evaluates a condition.
func (s *Stack) condition(value any) bool {
	for name, argument := range object(value) {
		parts := list(argument)
		switch name {
		case "Condition":
			of, ok := s.Conditions[text(parts[0])]
			if !ok {
				panic(fmt.Sprintf("the template has no condition %s", text(parts[0])))
			}
			return s.condition(of)
		case "Fn::Equals":
			return text(s.resolve(parts[0])) == text(s.resolve(parts[1]))
		case "Fn::Not":
			return !s.condition(parts[0])
		case "Fn::And":
			return !slices.ContainsFunc(parts, func(p any) bool { return !s.condition(p) })
		case "Fn::Or":
			return slices.ContainsFunc(parts, s.condition)
		}
	}
	panic(fmt.Sprintf("the condition %v is none", value))
}

var variables = regexp.MustCompile(`\$\{([^!}][^}]*)\}`)

func (s *Stack) sub(argument any) any {
	parts := list(argument)
	own := map[string]any{}
	if len(parts) > 1 {
		own = object(parts[1])
	}
	filled := variables.ReplaceAllStringFunc(text(parts[0]), func(match string) string {
		name := match[2 : len(match)-1]
		if value, ok := own[name]; ok {
			return text(s.resolve(value))
		}
		if id, attribute, ok := strings.Cut(name, "."); ok {
			return text(s.attribute(id, attribute))
		}
		return text(s.ref(name))
	})
	return s.secretsIn(filled)
}

// dynamic is a reference that CloudFormation resolves when it deploys.
var dynamic = regexp.MustCompile(`\{\{resolve:secretsmanager:(arn:[^}]*):SecretString:([^}:]*)\}\}`)

func (s *Stack) secretsIn(value string) string {
	return dynamic.ReplaceAllStringFunc(value, func(match string) string {
		parts := dynamic.FindStringSubmatch(match)
		for id, secret := range s.secrets {
			if arn("secretsmanager", "secret:"+s.Name+"-"+id) != parts[1] {
				continue
			}
			of := map[string]string{}
			if json.Unmarshal([]byte(secret), &of) == nil {
				return of[parts[2]]
			}
		}
		panic("there is no secret " + parts[1])
	})
}

func arn(service, resource string) string {
	return "arn:aws:" + service + ":" + region + ":" + account + ":" + resource
}

// ref is what Ref gives.
func (s *Stack) ref(id string) any {
	switch id {
	case "AWS::StackName":
		return s.Name
	case "AWS::Region":
		return region
	case "AWS::AccountId":
		return account
	case "AWS::Partition":
		return "aws"
	case "AWS::NoValue":
		return nil
	}
	if p, ok := s.Parameters[id]; ok {
		if p.Type == "CommaDelimitedList" {
			var all []any
			for part := range strings.SplitSeq(text(s.parameters[id]), ",") {
				all = append(all, part)
			}
			return all
		}
		return s.parameters[id]
	}
	if function, ok := strings.CutSuffix(id, ".Version"); ok {
		return text(s.attribute(function, "Arn")) + ":1"
	}
	r, ok := s.Resources[id]
	if !ok {
		panic("the template refers to " + id + ", which it does not have")
	}
	switch r.Type {
	case typeTopic:
		return arn("sns", s.text(r, "TopicName"))
	case typeSecret:
		return arn("secretsmanager", "secret:"+s.Name+"-"+id)
	case typeQueue:
		return s.attribute(id, "QueueUrl")
	case typeMailSet:
		return s.text(r, "Name")
	case typeLogGroup:
		return s.text(r, "LogGroupName")
	case typeAPI:
		return strings.ToLower(id)
	}
	return s.Name + "-" + id
}

// attribute is what GetAtt gives.
func (s *Stack) attribute(id, name string) any {
	if value, ok := s.attributes[id][name]; ok {
		return value
	}
	r, ok := s.Resources[id]
	if !ok {
		panic("the template refers to " + id + ", which it does not have")
	}
	switch {
	case r.Type == typeQueue && name == "Arn":
		return arn("sqs", s.text(r, "QueueName"))
	case r.Type == typeQueue && name == "QueueName":
		return s.text(r, "QueueName")
	case r.Type == typeTopic && name == "TopicArn":
		return s.ref(id)
	case r.Type == typeFunction && name == "Arn":
		return arn("lambda", "function:"+text(s.ref(id)))
	case r.Type == typeRole && name == "Arn":
		return "arn:aws:iam::" + account + ":role/" + text(s.ref(id))
	case r.Type == typeLogGroup && name == "Arn":
		return arn("logs", "log-group:"+text(s.ref(id))+":*")
	case !strings.HasPrefix(r.Type, "AWS::EC2"):
		panic(fmt.Sprintf("this cloud does not know %s of %s", name, id))
	}
	return s.Name + "-" + id + "-" + name
}
