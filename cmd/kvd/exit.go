package main

import (
	"errors"
	"fmt"
)

// Exit codes. A supervisor may restart a member that ended with 1 or 4; to
// restart 2, 3 or 5 without a human gives the same answer again.
const (
	exitOK      = 0
	exitFatal   = 1 // an error at run time, after which nothing more was acknowledged
	exitUsage   = 2 // bad flags, environment or configuration; nothing was written
	exitDataDir = 3 // the data directory cannot be used
	exitBind    = 4 // a listen address cannot be bound; the data directory was not touched
	exitRemoved = 5 // this member was removed from its cluster
)

// exitError is an error that knows the exit code it ends the process with.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// exitWith returns an error that ends the process with code.
func exitWith(code int, format string, args ...any) error {
	return &exitError{code: code, err: fmt.Errorf(format, args...)}
}

// usageError returns an error that ends the process with exitUsage.
func usageError(format string, args ...any) error {
	return exitWith(exitUsage, format, args...)
}

// exitCode is the code that err ends the process with. Errors that carry none
// come from the command line's parser.
func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	return exitUsage
}
