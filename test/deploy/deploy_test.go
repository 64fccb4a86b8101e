// Package deploy_test looks at what is in deploy/: whether systemd can read the
// unit and finds it hardened, whether the settings are settings of the program,
// and whether the lines of the Containerfile say what they should. It starts no
// unit and builds no image.
package deploy_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/restock/restock/test/blackbox"
	"github.com/restock/restock/test/servers"
)

const root = "../.."

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// systemdAnalyze installs Debian's systemd where it is missing.
func systemdAnalyze(t *testing.T) string {
	t.Helper()
	const program = "systemd-analyze"
	if _, err := exec.LookPath(program); err != nil {
		if err := servers.Install("systemd"); err != nil {
			t.Skipf("systemd cannot be had: %v", err)
		}
	}
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// unit is a copy of the unit whose program is there.
func unit(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "restock")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(read(t, "deploy/systemd/restock.service"), "/usr/local/bin/restock", program)
	path := filepath.Join(t.TempDir(), "restock.service")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// exposureMax is what systemd may find exposed of the service, of 100.
const exposureMax = "20"

// TestSystemdReadsTheUnitAndFindsItHardened, without starting it.
func TestSystemdReadsTheUnitAndFindsItHardened(t *testing.T) {
	t.Parallel()
	analyze, path := systemdAnalyze(t), unit(t)
	for _, args := range [][]string{
		{"verify", "--man=no", "--recursive-errors=no", path},
		{"security", "--offline=true", "--no-pager", "--threshold=" + exposureMax, path},
	} {
		out, err := exec.CommandContext(t.Context(), analyze, args...).CombinedOutput()
		if err != nil || args[0] == "verify" && len(out) > 0 {
			t.Errorf("systemd-analyze %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// TestTheSettingsAreSettingsOfTheProgram: those of the unit, of its file and of
// the container.
func TestTheSettingsAreSettingsOfTheProgram(t *testing.T) {
	t.Parallel()
	binary, err := blackbox.Build(t.Context(), t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	setting := regexp.MustCompile(`(?m)^#?(RESTOCK_\w+=.*)$`)
	for name, env := range map[string][]string{
		"restock.env":   setting.FindAllString(read(t, "deploy/systemd/restock.env"), -1),
		"the unit":      regexp.MustCompile(`RESTOCK_\S+`).FindAllString(directive(read(t, "deploy/systemd/restock.service"), "Environment"), -1),
		"Containerfile": regexp.MustCompile(`RESTOCK_\S+`).FindAllString(strings.Join(instructions(t)["ENV"], " "), -1),
	} {
		if len(env) == 0 {
			t.Errorf("%s sets nothing", name)
		}
		for i := range env {
			env[i] = strings.TrimPrefix(env[i], "#")
		}
		check := exec.CommandContext(t.Context(), binary, "config", "check")
		check.Env = env
		if out, err := check.CombinedOutput(); err != nil || strings.Contains(string(out), "warning") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

func directive(unit, name string) string {
	var values []string
	for line := range strings.Lines(unit) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			values = append(values, value)
		}
	}
	return strings.Join(values, "\n")
}

// instructions reads the Containerfile, of its last stage, and FROM of all.
func instructions(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for line := range strings.Lines(read(t, "deploy/Containerfile")) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		if word == "FROM" {
			all = map[string][]string{"FROM": all["FROM"]}
		}
		all[word] = append(all[word], rest)
	}
	return all
}

// TestTheLinesOfTheContainerfileSayWhatTheyShould: it is read, not built.
func TestTheLinesOfTheContainerfileSayWhatTheyShould(t *testing.T) {
	t.Parallel()
	all := instructions(t)
	stages := all["FROM"]
	version := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(read(t, "go.mod"))[1]
	if len(stages) != 2 || !strings.HasPrefix(stages[0], "docker.io/library/golang:"+version+"-") || stages[1] != "scratch" {
		t.Errorf("stages %q, want one with Go %s of go.mod, and one that is empty", stages, version)
	}
	if user := strings.Join(all["USER"], " "); !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(user) {
		t.Errorf("user %q, want the numbers of one that is not root, so that a cluster can check it", user)
	}
	copied := strings.Join(all["COPY"], "\n")
	for what, part := range map[string]string{
		"CA roots, where Go looks for them": " /etc/ssl/certs/ca-certificates.crt", "the program": " /restock", "a folder of the user": "--chown=65532:65532 /out/data /data",
	} {
		if !strings.Contains(copied, part) {
			t.Errorf("it lacks %s", what)
		}
	}
	if !strings.Contains(read(t, "cmd/restock/settings.go"), `_ "time/tzdata"`) {
		t.Error("the program has no time zones of its own, and the container has none either")
	}
	if health := strings.Join(all["HEALTHCHECK"], " "); !strings.HasSuffix(health, `CMD ["/restock", "ready"]`) {
		t.Errorf("health check %q, want one with the program itself: there is nothing else", health)
	}
}

// TestReadyTellsOfTheServerOfThisMachine is the health check of the container.
func TestReadyTellsOfTheServerOfThisMachine(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	binary, err := blackbox.Build(t.Context(), folder, "")
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(folder, "log"))
	if err != nil {
		t.Fatal(err)
	}
	server := &blackbox.Server{Binary: binary, Log: log, Args: []string{"serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(folder, "data")}}
	t.Cleanup(server.Abandon)
	if err := server.Start(); err != nil {
		t.Fatalf("%v\n%s", err, server.LastWords())
	}
	address, err := os.ReadFile(filepath.Join(folder, "data", "server"))
	if err != nil {
		t.Fatal(err)
	}
	ready := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		return exec.CommandContext(ctx, binary, "ready", "--listen", strings.TrimPrefix(strings.TrimSpace(string(address)), "http://")).Run()
	}
	// It asks with a limit of seconds, and whoever runs the check asks again.
	for began := time.Now(); ; {
		err := ready()
		if err == nil {
			break
		}
		if time.Since(began) > 2*time.Minute {
			t.Fatalf("a server that serves is not ready: %v", err)
		}
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := ready(); err == nil {
		t.Error("a server that has stopped is ready")
	}
}
