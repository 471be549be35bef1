package check

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// asChild in the environment makes this test binary the checker.
const asChild = "KVD_TEST_AS_CHECKER"

// testArgv starts this binary as the checker.
var testArgv = []string{os.Args[0]}

func TestMain(m *testing.M) {
	if os.Getenv(asChild) != "" {
		os.Exit(LinearizeMain(os.Args[1:], os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}
