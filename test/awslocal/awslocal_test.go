package awslocal

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/restock/restock/test/emulators"
)

// site is shared by all tests of the binary.
var site = sync.OnceValues(func() (*Site, error) { return StartSite(context.Background()) })

func TestMain(m *testing.M) {
	code := m.Run()
	if started.on {
		if s, _ := site(); s != nil {
			s.Close()
		}
	}
	os.Exit(code)
}

// started is whether any test has asked for the site: nothing is started to be
// ended.
var started struct {
	sync.Mutex
	on bool
}

func open(t *testing.T) *Site {
	t.Helper()
	started.Lock()
	started.on = true
	started.Unlock()
	s, err := site()
	if errors.Is(err, emulators.ErrMissing) || err != nil && strings.Contains(err.Error(), "MariaDB:") {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func shipped(t *testing.T) *Template {
	t.Helper()
	template, err := ReadTemplate(TemplatePath)
	if err != nil {
		t.Fatal(err)
	}
	return template
}

// TestTheStackTellsTheStory through the template's own wiring: with no part that
// nothing needs, and none that does not work.
func TestTheStackTellsTheStory(t *testing.T) {
	template := shipped(t)
	counts, err := open(t).Tell(t.Context(), template, template, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	for id, c := range counts {
		if c.Invocations == 0 || c.Errors > 0 {
			t.Errorf("%s: %+v", id, c)
		}
	}
}

// mutantsTime bounds the mutants of one run; make aws-mutants takes all.
const mutantsTime = 80 * time.Second

// TestTheStoryNamesWhatTheTemplateLacks for one mutant of each kind, and in full
// for as many more as there is time for.
func TestTheStoryNamesWhatTheTemplateLacks(t *testing.T) {
	s, template := open(t), shipped(t)
	first, rest := oneOfEach(Mutants(template))
	begun := time.Now()
	if os.Getenv("RESTOCK_TEST_FULL") == "" {
		first, rest = first[:min(3, len(first))], nil
	}
	n := 0
	for _, m := range append(first, rest...) {
		if n >= 3 && time.Since(begun) > mutantsTime {
			break
		}
		n++
		if why, caught := s.Hunt(t.Context(), m, template); !caught {
			t.Errorf("%s escaped: %s; want a failure that names %q", m.Name, why, m.Names)
		}
	}
	t.Logf("%d mutants of %d", n, len(Mutants(template)))
}

// oneOfEach puts one mutant of each kind first.
func oneOfEach(all []Mutant) (first, rest []Mutant) {
	seen := map[string]bool{}
	for _, m := range all {
		kind, _, _ := strings.Cut(m.Name, " ")
		if seen[kind] {
			rest = append(rest, m)
			continue
		}
		seen[kind] = true
		first = append(first, m)
	}
	return first, rest
}

// TestALeftOverPermissionIsFound: a right that no call needs fails the story, as
// does one that is missing.
func TestALeftOverPermissionIsFound(t *testing.T) {
	s, template := open(t), shipped(t)
	more := template.Clone()
	role := more.of(typeRole)[0]
	statement := object(list(object(object(list(role.Properties["Policies"])[0])["PolicyDocument"])["Statement"])[0])
	statement["Action"] = append(slices.Clone(list(statement["Action"])), "logs:DeleteLogGroup")
	_, err := s.Tell(t.Context(), more, more, nil)
	if err == nil || !strings.Contains(err.Error(), role.ID) || !strings.Contains(err.Error(), "logs:DeleteLogGroup") {
		t.Errorf("a right that nobody needs: %v", err)
	}
}

// TestTheLocalCloudKnowsNoName: all wiring comes from the template.
func TestTheLocalCloudKnowsNoName(t *testing.T) {
	t.Parallel()
	template := shipped(t)
	var names []string
	for _, r := range template.of(typeFunction, typeTopic, typeQueue, typeSubscription) {
		names = append(names, r.ID)
		for _, property := range []string{"QueueName", "TopicName"} {
			if sub := text(object(r.Properties[property])["Fn::Sub"]); sub != "" {
				names = append(names, strings.TrimPrefix(sub, "${AWS::StackName}-"))
			}
		}
	}
	files, err := filepath.Glob("*.go")
	more, moreErr := filepath.Glob("run/*.go")
	if err := errors.Join(err, moreErr); err != nil {
		t.Fatal(err)
	}
	looked := 0
	for _, file := range append(files, more...) {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		looked++
		for _, name := range names {
			if regexp.MustCompile(`"[^"\n]*\b` + regexp.QuoteMeta(name) + `\b[^"\n]*"`).Match(source) {
				t.Errorf("%s knows %s", file, name)
			}
		}
	}
	if looked < 5 || len(names) < 15 {
		t.Errorf("%d files were looked at for %d names", looked, len(names))
	}
}

// TestAllFunctionsAgreeOnTheStockTable: when it changes, none goes on with the
// table of before.
func TestAllFunctionsAgreeOnTheStockTable(t *testing.T) {
	t.Parallel()
	parameters := Parameters()
	parameters["StockTable"] = "product"
	for id, table := range environments(t, parameters, "RESTOCK_STOCK_TABLE") {
		if table != "product" {
			t.Errorf("%s has the table %q, want product", id, table)
		}
	}
}

// TestAllFunctionsVerifyTheDatabaseWhenTheyCan: by the file that was put beside
// the program.
func TestAllFunctionsVerifyTheDatabaseWhenTheyCan(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{"": "?tls=preferred", "global-bundle.pem": "?tls-ca=global-bundle.pem"} {
		parameters := Parameters()
		parameters["DatabaseCA"] = file
		for id, address := range environments(t, parameters, "RESTOCK_DB") {
			if !strings.HasSuffix(address, "@db.example:3306/restock"+want) {
				t.Errorf("%s: with the file %q the address ends with %q, want %q", id, file, address[strings.LastIndexByte(address, '@')+1:], want)
			}
		}
	}
}

// environments gives a variable of each function's environment.
func environments(t *testing.T, parameters map[string]string, variable string) map[string]string {
	t.Helper()
	s, err := NewStack(shipped(t), "stack", parameters)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range s.made(typeDatabase) {
		s.know(r.ID, "Endpoint.Address", "db.example")
		s.know(r.ID, "Endpoint.Port", "3306")
	}
	all := map[string]string{}
	for _, r := range s.made(typeFunction) {
		all[r.ID] = text(s.resolve(object(object(r.Properties["Environment"])["Variables"])[variable]))
	}
	if len(all) < 8 {
		t.Fatalf("%d functions", len(all))
	}
	return all
}

// lintVersion is the schema check: it knows the resources of CloudFormation and
// the transform of SAM.
const lintVersion = "1.51.0"

// TestTheTemplatePassesTheSchemaCheck of cfn-lint, with no finding of any kind.
func TestTheTemplatePassesTheSchemaCheck(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	source, err := os.ReadFile(TemplatePath)
	if err == nil {
		err = errors.Join(os.WriteFile(filepath.Join(folder, "template.yaml"), source, 0o600),
			os.Mkdir(filepath.Join(folder, "build"), 0o700), os.WriteFile(filepath.Join(folder, "build", "bootstrap"), nil, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	lint := findLint(t)
	if out, err := exec.CommandContext(t.Context(), lint[0], append(lint[1:], filepath.Join(folder, "template.yaml"))...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	// A control: a property that no queue has.
	broken := strings.Replace(string(source), "SqsManagedSseEnabled: true", "SqsManagedSse: true", 1)
	if err := os.WriteFile(filepath.Join(folder, "template.yaml"), []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), lint[0], append(lint[1:], filepath.Join(folder, "template.yaml"))...).CombinedOutput(); err == nil {
		t.Errorf("a template with a mistake passed:\n%s", out)
	}
}

// findLint finds cfn-lint, or installs it into the user's cache.
func findLint(t *testing.T) []string {
	t.Helper()
	if path, err := exec.LookPath("cfn-lint"); err == nil && exec.CommandContext(t.Context(), path, "--version").Run() == nil {
		return []string{path}
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("cfn-lint needs python3, which is not installed")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	folder := filepath.Join(cache, "restock-test", "cfn-lint-"+lintVersion)
	lint := filepath.Join(folder, "bin", "cfn-lint")
	if _, err := os.Stat(lint); err == nil {
		return []string{lint}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	for _, argv := range [][]string{
		{python, "-m", "venv", folder},
		{filepath.Join(folder, "bin", "pip"), "install", "--quiet", "--disable-pip-version-check", "cfn-lint==" + lintVersion},
	} {
		if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
			os.RemoveAll(folder)
			t.Skipf("cfn-lint cannot be installed: %v\n%s", err, out)
		}
	}
	return []string{lint}
}

// TestEveryAlarmHasARunbook under the heading that it names.
func TestEveryAlarmHasARunbook(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/aws.md")
	if err != nil {
		t.Fatal(err)
	}
	alarms := shipped(t).of("AWS::CloudWatch::Alarm")
	for _, r := range alarms {
		_, heading, _ := strings.Cut(text(r.Properties["AlarmDescription"]), `docs/aws.md, "`)
		heading, _, _ = strings.Cut(heading, `"`)
		if heading == "" || !strings.Contains(string(page), "\n### "+heading+"\n") {
			t.Errorf("%s: there is no heading %q in docs/aws.md", r.ID, heading)
		}
		if len(list(r.Properties["AlarmActions"])) == 0 {
			t.Errorf("%s reaches nobody", r.ID)
		}
	}
	if len(alarms) < 8 {
		t.Errorf("%d alarms", len(alarms))
	}
}
