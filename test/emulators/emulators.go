// Package emulators runs the clouds that tests talk to: an SNS and SQS, and an
// SES, from npm in exact versions. Each is a process on loopback that keeps
// everything in memory and ends with the program that started it.
package emulators

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
	"time"
)

// files is what npm installs the emulators from, and the scripts that start
// them, in a folder for each.
//
//go:embed fauxqs ses
var files embed.FS

const (
	script         = "emulator.mjs"
	installTimeout = 5 * time.Minute
	startPatience  = 5 * time.Minute // on a machine that does much else
)

// ErrMissing is that this machine cannot run an emulator.
var ErrMissing = errors.New("no emulator of AWS")

// SNSSQS starts an SNS and SQS, once for the whole program: the state of one
// user is apart from that of another by the names of its topic and queues. It
// gives its address, such as http://127.0.0.1:40521. The emulator takes any
// credentials and any region.
//
//nolint:gochecknoglobals // one process for each program.
var SNSSQS = sync.OnceValues(func() (string, error) { return Start("fauxqs") })

// SES is SNSSQS for SES. What was sent is at its /store.
//
//nolint:gochecknoglobals // one process for each program.
var SES = sync.OnceValues(func() (string, error) { return Start("ses") })

// held keeps the standard inputs of the processes open: each ends when its own
// is closed, and so with this program, however that ends.
//
//nolint:gochecknoglobals // the processes live as long as the program.
var held struct {
	sync.Mutex
	inputs []io.Closer
}

// Start installs an emulator, if it is not yet, and runs one of its own.
func Start(name string) (string, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return "", fmt.Errorf("%w: node (20.19 or newer) is not installed: %w", ErrMissing, err)
	}
	folder, err := install(name)
	if err != nil {
		return "", err
	}
	return run(node, folder)
}

// install installs with npm into the user's cache what is not there. The folder
// is named by what is in it, and a lock keeps programs apart that run beside
// each other.
func install(name string) (string, error) {
	hashed, err := hashedName(name)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	folder := filepath.Join(cache, "restock-test", hashed)
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
	if err := npmInstall(name, folder); err != nil {
		return "", err
	}
	return folder, os.WriteFile(installed, nil, 0o600)
}

// hashedName hashes all that is installed.
func hashedName(name string) (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(files, name, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := files.ReadFile(path)
		fmt.Fprintln(sum, path, len(content))
		sum.Write(content)
		return err
	})
	return fmt.Sprintf("%s-%x", name, sum.Sum(nil)[:6]), err
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

func npmInstall(name, folder string) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return fmt.Errorf("%w: npm is not installed: %w", ErrMissing, err)
	}
	own, err := fs.Sub(files, name)
	if err != nil {
		return err
	}
	if err := os.CopyFS(folder, own); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "ci", "--omit=dev", "--ignore-scripts", "--engine-strict=false", "--no-audit", "--no-fund")
	cmd.Dir = folder
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: npm ci in %s: %w\n%s", ErrMissing, folder, err, output)
	}
	return nil
}

// run starts the process and reads its address.
func run(node, folder string) (string, error) {
	cmd := exec.CommandContext(context.Background(), node, script)
	cmd.Dir = folder
	var said bytes.Buffer
	cmd.Stderr = &said
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	impatient := time.AfterFunc(startPatience, func() { cmd.Process.Kill() })
	defer impatient.Stop()
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		io.Copy(io.Discard, stdout)
		return "", fmt.Errorf("the emulator in %s did not start: %w\n%s", folder, errors.Join(err, cmd.Wait()), &said)
	}
	held.Lock()
	held.inputs = append(held.inputs, stdin)
	held.Unlock()
	return strings.TrimSpace(address), nil
}

// Environment is what a program of ours needs in its environment to talk to an
// emulator: credentials, which nobody looks at, and nothing of the developer's
// own.
func Environment() []string {
	return []string{
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_REGION=us-east-1",
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "AWS_EC2_METADATA_DISABLED=true",
	}
}
