package queuetest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// emulatorFiles is what npm installs the emulator from, in exact versions, and
// the script that starts it.
//
//go:embed fauxqs
var emulatorFiles embed.FS

const (
	emulatorFolder   = "fauxqs"
	emulatorScript   = "emulator.mjs"
	installTimeout   = 5 * time.Minute
	emulatorPatience = 30 * time.Second // how long it may take to start
)

// errMissing is that this machine cannot run the emulator.
var errMissing = errors.New("no SNS/SQS emulator")

// startEmulator starts it once for the whole test binary: the state of one
// check is apart from that of another by the names of its topic and queues.
var startEmulator = sync.OnceValues(func() (emulator, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return emulator{}, fmt.Errorf("%w: node (20.6 or newer) is not installed: %w", errMissing, err)
	}
	folder, err := installEmulator()
	if err != nil {
		return emulator{}, err
	}
	return runEmulator(node, folder)
})

// emulator is a process that runs.
type emulator struct {
	endpoint string
	stdin    io.Closer // held: the process ends when it is closed
}

// StartSNSSQS gives the address of an SNS and SQS, such as
// http://127.0.0.1:40521. It takes any credentials and any region, keeps
// everything in memory, and ends with this process, however that ends. The
// first use on a machine installs it with npm into the user's cache folder.
//
// It skips the test when node or npm is not there, or npm cannot install.
func StartSNSSQS(tb testing.TB) string {
	tb.Helper()
	running, err := startEmulator()
	if errors.Is(err, errMissing) {
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return running.endpoint
}

// AWSEnvironment is what a program of ours needs in its environment to talk to
// the emulator: credentials, which nobody looks at, and nothing of the
// developer's own.
func AWSEnvironment() []string {
	return []string{
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_REGION=us-east-1",
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "AWS_EC2_METADATA_DISABLED=true",
	}
}

// installEmulator installs what is not yet installed. The folder is named by
// what is in it, and a lock keeps test binaries apart that run beside each
// other.
func installEmulator() (string, error) {
	name, err := emulatorName()
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	folder := filepath.Join(cache, "restock-test", name)
	if err := os.MkdirAll(filepath.Dir(folder), 0o750); err != nil {
		return "", err
	}
	unlock, err := lockFile(folder + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	installed := filepath.Join(folder, "installed")
	if _, err := os.Stat(installed); err == nil {
		return folder, nil
	}
	if err := os.RemoveAll(folder); err != nil {
		return "", err
	}
	if err := npmInstall(folder); err != nil {
		return "", err
	}
	return folder, os.WriteFile(installed, nil, 0o600)
}

// emulatorName hashes all that is installed.
func emulatorName() (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(emulatorFiles, emulatorFolder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := emulatorFiles.ReadFile(path)
		fmt.Fprintln(sum, path, len(content))
		sum.Write(content)
		return err
	})
	return fmt.Sprintf("%s-%x", emulatorFolder, sum.Sum(nil)[:6]), err
}

// lockFile waits until the lock on a file is ours. It is gone with the process.
func lockFile(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), f.Close())
	}
	return func() { f.Close() }, nil
}

func npmInstall(folder string) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return fmt.Errorf("%w: npm is not installed: %w", errMissing, err)
	}
	files, err := fs.Sub(emulatorFiles, emulatorFolder)
	if err != nil {
		return err
	}
	if err := os.CopyFS(folder, files); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "ci", "--omit=dev", "--ignore-scripts", "--engine-strict=false", "--no-audit", "--no-fund")
	cmd.Dir = folder
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: npm ci in %s: %w\n%s", errMissing, folder, err, output)
	}
	return nil
}

// runEmulator starts the process and reads its address. Its standard input is
// a pipe from us: when we are gone, it ends.
func runEmulator(node, folder string) (emulator, error) {
	cmd := exec.CommandContext(context.Background(), node, emulatorScript)
	cmd.Dir = folder
	var said bytes.Buffer
	cmd.Stderr = &said
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return emulator{}, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return emulator{}, err
	}
	if err := cmd.Start(); err != nil {
		return emulator{}, err
	}
	impatient := time.AfterFunc(emulatorPatience, func() { cmd.Process.Kill() })
	defer impatient.Stop()
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		io.Copy(io.Discard, stdout)
		return emulator{}, fmt.Errorf("the SNS/SQS emulator did not start: %w\n%s", errors.Join(err, cmd.Wait()), &said)
	}
	return emulator{endpoint: strings.TrimSpace(address), stdin: stdin}, nil
}
