package queuetest

import (
	"errors"
	"testing"

	"github.com/restock/restock/test/emulators"
)

// StartSNSSQS gives the address of an SNS and SQS, such as
// http://127.0.0.1:40521. It takes any credentials and any region, keeps
// everything in memory, and ends with this process, however that ends. The
// first use on a machine installs it with npm into the user's cache folder.
//
// It skips the test when node or npm is not there, or npm cannot install.
func StartSNSSQS(tb testing.TB) string {
	tb.Helper()
	endpoint, err := emulators.SNSSQS()
	if errors.Is(err, emulators.ErrMissing) {
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return endpoint
}

// AWSEnvironment is what a program of ours needs in its environment to talk to
// the emulator.
func AWSEnvironment() []string { return emulators.Environment() }
