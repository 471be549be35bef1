package check

import (
	"context"

	"kvd/test/chaos/history"
)

// Files runs every check on a run that is over: the history that a history.Writer
// wrote, and the dumps of the members, which "kvd debug dump-log --json" prints. An
// error is a file that cannot be read, which proves nothing either way.
func Files(ctx context.Context, historyFile string, dumps []string, o Options, c Child) ([]Result, error) {
	l, merged, err := Merge(dumps...)
	if err != nil {
		return nil, err
	}
	h, err := history.Read(historyFile)
	if err != nil {
		return nil, err
	}
	results := []Result{merged, Verdicts(l, o.Corrupted)}
	r := NewReplay(l)
	results = append(results, All(h, r, o)...)
	return append(results, c.Run(ctx, historyFile)), nil
}
