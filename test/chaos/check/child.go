package check

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"time"

	"kvd/test/chaos/history"
)

// Child is the check of linearizability in a process of its own.
type Child struct {
	// Argv starts a program that calls LinearizeMain with the arguments that are
	// added to these, such as {os.Executable(), "linearize"}.
	Argv    []string
	Env     []string      // added to that of this process
	Memory  uint64        // bytes that it may use; 0: 4 GiB
	Timeout time.Duration // for all of it; 0: 10 min
	PerKey  time.Duration // 0: 30 s
}

func (c Child) withDefaults() Child {
	if c.Memory == 0 {
		c.Memory = 4 << 30
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Minute
	}
	if c.PerKey == 0 {
		c.PerKey = 30 * time.Second
	}
	return c
}

// Run checks the history in a file. A child that does not end with a result, for
// whatever reason, is a violation.
func (c Child) Run(ctx context.Context, file string) Result {
	c = c.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	args := append(c.Argv[1:len(c.Argv):len(c.Argv)], file, strconv.FormatUint(c.Memory, 10), c.PerKey.String())
	cmd := exec.CommandContext(ctx, c.Argv[0], args...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.WaitDelay = time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	r := Result{Check: "linearizability"}
	if err == nil {
		if err = json.Unmarshal(out.Bytes(), &r); err == nil {
			return r
		}
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("it was not done in %v", c.Timeout)
	}
	r = Result{Check: "linearizability"}
	text := errs.Bytes()
	r.failf(nil, "nothing is known: the checker ended with: %v: %s", err, text[:min(len(text), 400)])
	return r
}

// LinearizeMain is the child: it checks the history in the file args[0] with
// args[1] bytes of memory and args[2] of time for each key, and writes the Result
// to stdout. It returns the exit code.
func LinearizeMain(args []string, stdout, stderr io.Writer) int {
	r, err := linearizeFile(args)
	if err == nil {
		err = json.NewEncoder(stdout).Encode(r)
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

func linearizeFile(args []string) (Result, error) {
	if len(args) != 3 {
		return Result{}, fmt.Errorf("arguments %q: want FILE BYTES DURATION", args)
	}
	memory, err := strconv.ParseUint(args[1], 10, 63)
	if err != nil {
		return Result{}, err
	}
	perKey, err := time.ParseDuration(args[2])
	if err != nil {
		return Result{}, err
	}
	// The collector works harder before the limit, and at the limit the process ends.
	debug.SetMemoryLimit(int64(memory / 10 * 9))
	if err := limitMemory(memory); err != nil {
		return Result{}, fmt.Errorf("limit memory: %w", err)
	}
	h, err := history.Read(args[0])
	if err != nil {
		return Result{}, err
	}
	return Linearizable(h, perKey), nil
}
