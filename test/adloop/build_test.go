package adloop_test

import (
	"os"
	"os/exec"
)

func buildInto(binary string) ([]byte, error) {
	build := exec.Command("go", "build", "-o", binary, "github.com/restock/restock/cmd/restock")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	return build.CombinedOutput()
}
