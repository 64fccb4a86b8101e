package awslocal

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// The people of the story.
const (
	donutSKU, cakeSKU, silentSKU = "CP-502101", "CP-REVIEW", "CP-SILENT"
	adManager                    = "ads@donut.example"
	buyerAddress                 = "buyer@donut.example"
	operations                   = "operations@donut.example"
	mailDomain                   = "donut.example"
)

// Parameters are those that the story gives the template: a day of the real stack
// in seconds. What a function may take is not shortened more than the visibility
// wants, since a busy machine is slow.
func Parameters() map[string]string {
	return map[string]string{
		"MailIdentity": mailDomain, "MailFrom": "restock@" + mailDomain, "OperationsEmail": operations,
		"FunctionTimeout": "28", "VisibilityTimeout": "30", "FactoryTimeout": "10s", "CallbackWindow": "3s", "ScheduleTime": "1s",
		"AlertGap": "1s", "RetryBase": "200ms",
	}
}

// StoryCatalog is what the shop of the story sells: one product whose factory
// delivers, one that a person has to approve, and one whose factory never calls.
func StoryCatalog(factoryURL string) []byte {
	return fmt.Appendf(nil, `default_product: %[1]s
currency: KRW
buyer_email: %[4]s
factories:
  - {identifier: FF-500293, name: 부산도너츠 공장, manager_email: factory@donut.example, url: %[5]s/api/manufactures, lead_time: 100s, requester: 김재고, overdue: wait}
  - {identifier: FF-SILENT, name: Silent, manager_email: factory@donut.example, url: %[5]s/silent/manufactures, lead_time: 1s, requester: 김재고, overdue: hold}
advertisements:
  - {name: donut-main, manager_email: %[6]s, language: ko}
products:
  - {sku: %[1]s, slug: donut, name: 부산도너츠, price: 19900, unit_cost: 7000, opening_stock: 3, factory: FF-500293, advertisement: donut-main, order_quantity: 3}
  - {sku: %[2]s, slug: cake, name: Cake, price: 100, unit_cost: 10, opening_stock: 1, factory: FF-500293, ordering: review, order_quantity: 2}
  - {sku: %[3]s, slug: silent, name: Silence, price: 100, unit_cost: 10, opening_stock: 1, factory: FF-SILENT, order_quantity: 2}
`, donutSKU, cakeSKU, silentSKU, buyerAddress, factoryURL, adManager)
}

// Story is one run of the skeleton's story on a cloud.
type Story struct {
	Cloud   *Cloud
	Factory *Factory
	Say     func(format string, args ...any)
	// Whole: also what only needs to be shown once, and not by every mutant.
	Whole bool

	mails int    // that were there before
	trace string // of the purchase that took the last donut
}

// patience bounds one step, on a machine that does much else; quiet is how long
// nothing may happen, at that many looks at least, before a step is given up, and
// quietHidden the same while a message is hidden: longer than the visibility of any,
// which is the minute of a dead letter whose receiver was stopped.
const (
	patience    = 5 * time.Minute
	quiet       = 7 * time.Second
	quietHidden = 75 * time.Second
	quietLooks  = 20
	lookPace    = 50 * time.Millisecond
)

// Run tells the story. Its error names what is wrong with the template.
func (s *Story) Run(ctx context.Context) error {
	if s.Say == nil {
		s.Say = func(string, ...any) {}
	}
	before, err := s.Cloud.Mails(ctx)
	if err != nil {
		return err
	}
	s.mails = len(before)
	for _, chapter := range []struct {
		title string
		tell  func(context.Context) error
	}{
		{"three donuts are sold, and a fourth is not", s.sellOut},
		{"the factory gets one order, and the ad manager a mail", s.orderAndMail},
		{"the factory reports the goods, and they are sold again", s.arrive},
		{"an order awaits a person, and is placed when approved", s.approve},
		{"the operator counts the stock, and the page is there", s.operate},
		{"poison, and a mail that came back, are on the desk", s.poison},
		{"what SNS cannot deliver is on the desk, and goes on after a redrive", s.breakAndMend},
		{"an order that nobody delivers is told", s.overdue},
		{"the desk is cleared, and the promises hold", s.finish},
		{"every part of the template was at work", s.allAtWork},
	} {
		began := time.Now()
		if err := chapter.tell(ctx); err != nil {
			if fault := s.Cloud.Fault(); fault != nil && !strings.Contains(err.Error(), fault.Error()) {
				err = fmt.Errorf("%w; %w", fault, err)
			}
			return fmt.Errorf("%s: %w", chapter.title, err)
		}
		s.Say("%-70s %5.1fs", chapter.title, time.Since(began).Seconds())
	}
	return nil
}

func (s *Story) sellOut(ctx context.Context) error {
	for n := range 2 {
		if err := s.expect(ctx, http.MethodPost, "/checkout", "", http.StatusOK, fmt.Sprintf("남은 재고: %d", 2-n)); err != nil {
			return err
		}
	}
	s.trace = strings.ReplaceAll(uuid.NewString(), "-", "")
	if err := s.expectOf(ctx, s.trace, http.MethodPost, "/checkout", "", http.StatusOK, "남은 재고: 0"); err != nil {
		return err
	}
	if err := s.expect(ctx, http.MethodPost, "/checkout", "", http.StatusConflict, "구매 실패"); err != nil {
		return err
	}
	if err := s.buy(ctx, silentSKU); err != nil {
		return err
	}
	return s.expect(ctx, http.MethodGet, "/product/donut", "", http.StatusOK, `"stock":0`)
}

func (s *Story) buy(ctx context.Context, sku string) error {
	return s.expect(ctx, http.MethodPost, "/checkout", `{"sku":"`+sku+`","quantity":1}`, http.StatusOK, "")
}

func (s *Story) orderAndMail(ctx context.Context) error {
	if err := s.until(ctx, "an order at the factory", func() bool { return s.Factory.Orders(donutSKU) == 1 }); err != nil {
		return err
	}
	if err := s.mail(ctx, adManager, 1); err != nil {
		return err
	}
	if err := s.traced(ctx); err != nil {
		return err
	}
	return s.answerAd(ctx)
}

// traced waits until the logs of the functions tell by one id who sold the last
// donut, ordered, and sent the mail.
func (s *Story) traced(ctx context.Context) error {
	const tellers = 3
	return s.until(ctx, "the trace of the purchase in the logs of three functions", func() bool {
		n := 0
		for _, f := range s.Cloud.functions {
			if said, err := f.said(); err == nil && strings.Contains(said, `"trace_id":"`+s.trace+`"`) {
				n++
			}
		}
		return n >= tellers
	})
}

// answerAd presses the button in the mail to the ad manager.
func (s *Story) answerAd(ctx context.Context) error {
	mails, err := s.mailsTo(ctx, adManager)
	if err != nil || len(mails) == 0 {
		return errors.Join(err, errors.New("there is no mail"))
	}
	body := mails[0].Body.Text
	at := strings.Index(body, s.Cloud.API())
	if at < 0 {
		return fmt.Errorf("the mail has no link to %s", s.Cloud.API())
	}
	link, _, _ := strings.Cut(body[at:], "\n")
	path := strings.TrimPrefix(strings.TrimSpace(link), s.Cloud.API())
	if err := s.expect(ctx, http.MethodGet, path, "", http.StatusOK, "<form"); err != nil {
		return err
	}
	page, query, _ := strings.Cut(path, "?")
	return s.expect(ctx, http.MethodPost, page, query, http.StatusOK, "")
}

func (s *Story) arrive(ctx context.Context) error {
	s.Cloud.PutMailOff(1) // SES is in a hurry: the next mail comes later, and comes
	s.Factory.Deliver(donutSKU)
	if err := s.until(ctx, "three donuts on the shelf", s.stocked(ctx, "donut", 3)); err != nil {
		return err
	}
	if err := s.expect(ctx, http.MethodPost, "/checkout", "", http.StatusOK, "남은 재고: 2"); err != nil {
		return err
	}
	if n := s.Factory.Orders(donutSKU); n != 1 {
		return fmt.Errorf("the factory has %d orders, want 1", n)
	}
	return s.mail(ctx, adManager, 2)
}

func (s *Story) stocked(ctx context.Context, slug string, want int) func() bool {
	return func() bool {
		_, body, err := s.ask(ctx, http.MethodGet, s.Cloud.API()+"/product/"+slug, "", "")
		return err == nil && strings.Contains(body, fmt.Sprintf(`"stock":%d,`, want))
	}
}

func (s *Story) approve(ctx context.Context) error {
	if err := s.buy(ctx, cakeSKU); err != nil {
		return err
	}
	if err := s.mail(ctx, buyerAddress, 1); err != nil {
		return err
	}
	var orders struct {
		Items []struct {
			ID    string `json:"order_id"`
			State string `json:"state"`
		}
	}
	if err := s.operator(ctx, http.MethodGet, "/v1/replenishment-orders", "", &orders); err != nil {
		return err
	}
	for _, o := range orders.Items {
		if o.State == "awaiting_approval" {
			if err := s.operator(ctx, http.MethodPost, "/v1/replenishment-orders/"+o.ID+"/approve", `{"reason":"cake sells"}`, nil); err != nil {
				return err
			}
		}
	}
	if err := s.until(ctx, "the approved order at the factory", func() bool { return s.Factory.Orders(cakeSKU) == 1 }); err != nil {
		return err
	}
	s.Factory.Deliver(cakeSKU)
	return s.until(ctx, "two cakes on the shelf", s.stocked(ctx, "cake", 2))
}

func (s *Story) operate(ctx context.Context) error {
	// Counted down to nothing, cake is out of stock: the operator's side says so.
	if err := s.operator(ctx, http.MethodPost, "/v1/adjustments", `{"sku":"`+cakeSKU+`","quantity":-2,"reason":"eaten"}`, nil); err != nil {
		return err
	}
	var status struct{ Products int }
	if err := s.operator(ctx, http.MethodGet, "/v1/status", "", &status); err != nil {
		return err
	}
	if status.Products != 3 {
		return fmt.Errorf("the status counts %d products, want 3", status.Products)
	}
	code, body, err := s.ask(ctx, http.MethodGet, strings.TrimRight(s.Cloud.FunctionURL(), "/")+"/dashboard/login", "", "")
	if err != nil || code != http.StatusOK || !strings.Contains(body, "<form") {
		return fmt.Errorf("the page of the operator: %d, %w", code, err)
	}
	return nil
}

// letter is a dead letter as the desk shows it.
type letter struct {
	ID       string `json:"message_id"`
	Queue    string `json:"queue"`
	Type     string `json:"type"`
	Receives int    `json:"receives"`
	Error    string `json:"last_error"`
}

func (s *Story) letters(ctx context.Context) ([]letter, error) {
	var all struct {
		Items []letter
		Next  string
	}
	err := s.operator(ctx, http.MethodGet, "/v1/dead-letters?limit=100", "", &all)
	return all.Items, err
}

// poison puts on each topic a message of each kind that nobody can handle, and
// lets a mail come back. Each has to come to the desk from its own dead-letter
// queue.
func (s *Story) poison(ctx context.Context) error {
	want := map[string]int{} // letters by the queue
	for _, r := range s.Cloud.shipped.made(typeSubscription) {
		if text(r.Properties["Protocol"]) != "sqs" {
			continue
		}
		queue := s.queueOf(s.Cloud.shipped.text(r, "Endpoint"))
		want[queue]++
		kind, filtered := someType(s.Cloud.shipped.get(r, "FilterPolicy"))
		if !filtered {
			if err := s.Cloud.Bounce(ctx, "nobody@donut.example", "광고를 멈춰 주세요", "smtp; 550 5.1.1 user unknown"); err != nil {
				return err
			}
			continue
		}
		if kind.handled {
			// The ops room looks at the present and at nothing else: nothing is poison
			// to it. Its messages show that they come through.
			want[queue] = max(0, want[queue]-1)
		}
		if err := s.Cloud.Publish(ctx, s.Cloud.shipped.text(r, "TopicArn"), "this is no JSON", s.attributes(kind.name)); err != nil {
			return err
		}
	}
	if err := s.publishAsOthers(ctx); err != nil {
		return err
	}
	if err := s.deadFrom(ctx, want); err != nil {
		return err
	}
	if err := s.told(ctx, "dead letter"); err != nil {
		return err
	}
	all, err := s.letters(ctx)
	if err != nil {
		return err
	}
	expected := 0
	for _, n := range want {
		expected += n
	}
	if len(all) != expected {
		return fmt.Errorf("the desk has %d letters, want %d: %v", len(all), expected, all)
	}
	return nil
}

// publishAsOthers publishes what an existing Sales function does: free text, with
// the product in an attribute of one of two spellings. It is no poison.
func (s *Story) publishAsOthers(ctx context.Context) error {
	for _, r := range s.Cloud.shipped.made(typeSubscription) {
		if kind, ok := someType(s.Cloud.shipped.get(r, "FilterPolicy")); !ok || kind.name != ofTheFuture {
			continue
		}
		for _, spelling := range []string{"MessageAttributeProductId", "ProductId"} {
			err := s.Cloud.Publish(ctx, s.Cloud.shipped.text(r, "TopicArn"), "도너츠 재고가 없습니다", map[string]string{spelling: donutSKU, "FactoryId": "FF-500293"})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// ofTheFuture is a type that no version knows.
const ofTheFuture = "of.the.future"

// attributes are those of a message of restock.
func (*Story) attributes(kind string) map[string]string {
	return map[string]string{"id": uuid.NewString(), "type": kind}
}

// kindOf is a type that a filter lets through.
type kindOf struct {
	name    string
	handled bool // whatever its body says
}

// someType gives a type that a filter lets through, and whether there is a filter.
func someType(policy any) (kindOf, bool) {
	conditions := list(object(policy)["type"])
	if conditions == nil {
		return kindOf{}, false
	}
	for _, c := range conditions {
		if name, ok := c.(string); ok {
			return kindOf{name, strings.HasPrefix(name, "order.") || strings.HasPrefix(name, "receipt.")}, true
		}
	}
	return kindOf{name: ofTheFuture}, true
}

// queueOf is a queue's name in restock.
func (s *Story) queueOf(queueARN string) string {
	name := queueARN[strings.LastIndexByte(queueARN, ':')+1:]
	return strings.TrimPrefix(name, s.Cloud.stack.Name+"-")
}

// deadFrom waits until the desk has as many letters from each queue, and notes
// which redrive policies have moved them.
func (s *Story) deadFrom(ctx context.Context, want map[string]int) error {
	var got map[string]int
	err := s.until(ctx, "letters on the desk", func() bool {
		all, err := s.letters(ctx)
		got = map[string]int{}
		for _, l := range all {
			got[l.Queue]++
		}
		if err != nil {
			return false
		}
		for queue, n := range want {
			if got[queue] < n {
				return false
			}
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("%w: the desk has %v, want %v", err, got, want)
	}
	for _, r := range s.Cloud.stack.made(typeQueue) {
		if r.Properties["RedrivePolicy"] != nil && want[s.queueOf(text(s.Cloud.stack.attribute(r.ID, "Arn")))] > 0 {
			s.Cloud.worked(r.ID + redriveSuffix)
		}
	}
	return nil
}

// breakAndMend lets SNS reach no queue while donuts are sold out again.
func (s *Story) breakAndMend(ctx context.Context) error {
	if err := s.discardAll(ctx); err != nil {
		return err
	}
	if err := s.Cloud.Break(ctx); err != nil {
		return err
	}
	for range 2 {
		if err := s.buy(ctx, donutSKU); err != nil {
			return err
		}
	}
	if err := s.Cloud.Bounce(ctx, "nobody@donut.example", "again", "smtp; 550"); err != nil {
		return err
	}
	want := map[string]int{}
	for _, r := range s.Cloud.shipped.made(typeSubscription) {
		if text(r.Properties["Protocol"]) == "sqs" {
			want[s.queueOf(s.Cloud.shipped.text(r, "Endpoint"))]++
		}
	}
	if err := s.publishHandled(ctx); err != nil {
		return err
	}
	if err := s.deadFrom(ctx, want); err != nil {
		return err
	}
	if err := s.Cloud.Mend(ctx); err != nil {
		return err
	}
	if err := s.operator(ctx, http.MethodPost, "/v1/dead-letters/redrive", `{"all":true,"stale":true,"reason":"mended"}`, nil); err != nil {
		return err
	}
	if err := s.until(ctx, "a second order at the factory", func() bool { return s.Factory.Orders(donutSKU) == 2 }); err != nil {
		return err
	}
	s.Factory.Deliver(donutSKU)
	if err := s.until(ctx, "three donuts on the shelf", s.stocked(ctx, "donut", 3)); err != nil {
		return err
	}
	// The mail that came back is as dead as before: it is on the desk again.
	return s.until(ctx, "the desk to have only what nobody can handle", func() bool {
		all, err := s.letters(ctx)
		return err == nil && len(all) == 1 && all[0].Type == "foreign"
	})
}

// publishHandled publishes a message that is handled whatever it says, so that a
// queue for which the story has no other one gets it.
func (s *Story) publishHandled(ctx context.Context) error {
	for _, r := range s.Cloud.shipped.made(typeSubscription) {
		if kind, ok := someType(s.Cloud.shipped.get(r, "FilterPolicy")); ok && kind.handled {
			if err := s.Cloud.Publish(ctx, s.Cloud.shipped.text(r, "TopicArn"), "{}", s.attributes(kind.name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Story) discardAll(ctx context.Context) error {
	all, err := s.letters(ctx)
	if err != nil {
		return err
	}
	for _, l := range all {
		path := "/v1/dead-letters/" + l.ID + "/discard?queue=" + l.Queue
		if err := s.operator(ctx, http.MethodPost, path, `{"reason":"it was poison"}`, nil); err != nil {
			return err
		}
	}
	return nil
}

// overdue waits for what the schedule finds out by itself.
func (s *Story) overdue(ctx context.Context) error {
	if s.Factory.Orders(silentSKU) != 1 {
		return fmt.Errorf("the silent factory has %d orders, want 1", s.Factory.Orders(silentSKU))
	}
	return s.told(ctx, silentSKU)
}

// told waits for a mail to operations that says something.
func (s *Story) told(ctx context.Context, words string) error {
	return s.until(ctx, fmt.Sprintf("a mail to operations that says %q", words), func() bool {
		mails, err := s.mailsTo(ctx, operations)
		return err == nil && slices.ContainsFunc(mails, func(m Mail) bool { return strings.Contains(m.Body.Text, words) })
	})
}

func (s *Story) finish(ctx context.Context) error {
	if err := s.discardAll(ctx); err != nil {
		return err
	}
	if err := s.until(ctx, "an empty desk", func() bool {
		all, err := s.letters(ctx)
		return err == nil && len(all) == 0
	}); err != nil {
		return err
	}
	if err := s.command(ctx, "verify", "--db", s.Cloud.DatabaseURL()); err != nil {
		return err
	}
	for _, f := range s.Cloud.functions {
		for _, entry := range f.environment {
			if queue, ok := strings.CutPrefix(entry, "RESTOCK_QUEUE="); ok {
				if err := s.command(ctx, "queue", "provision", "--check", "--queue", queue); err != nil {
					return fmt.Errorf("%w: %s", err, strings.Join(s.Cloud.explain(ctx), "; "))
				}
				return nil
			}
		}
	}
	return errors.New("no function has a queue")
}

// command runs the program as an operator would, beside the functions.
func (s *Story) command(ctx context.Context, args ...string) error {
	command := exec.CommandContext(ctx, s.Cloud.bootstrap, args...)
	command.Env = []string{
		"AWS_ACCESS_KEY_ID=operator", "AWS_SECRET_ACCESS_KEY=operator", "AWS_REGION=" + region, "AWS_ENDPOINT_URL=" + s.Cloud.Messages,
		"AWS_EC2_METADATA_DISABLED=true", "HOME=" + s.Cloud.folder, "RESTOCK_DATA=" + s.Cloud.folder,
	}
	out, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("restock %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// allAtWork holds the template against what was seen: what nothing needs is too
// much, and what was never at work is not proven.
func (s *Story) allAtWork(context.Context) error {
	if fault := s.Cloud.Fault(); fault != nil {
		return fault
	}
	idle := s.Cloud.Idle()
	if len(idle) > 0 {
		return fmt.Errorf("never at work, so that nobody needs it or it is missing: %s", strings.Join(idle, "; "))
	}
	return nil
}
