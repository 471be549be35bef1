package cluster

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
)

// Run runs a command to its end. The error holds what it printed.
func Run(name string, args ...string) error {
	_, err := Output(name, args...)
	return err
}

// Output is what a command printed on stdout.
func Output(name string, args ...string) (string, error) {
	var out, problems bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(problems.String()+out.String()))
	}
	return out.String(), nil
}

// Has tells whether a command can be run here.
func Has(name string) bool {
	_, err := exec.LookPath(name)
	return err == nil
}
