package check

import (
	"fmt"
	"slices"

	"kvd/test/chaos/history"
)

// Watches checks the nine guarantees of the API on every stream of every watcher:
//
//	filtered      nothing outside of what was asked for
//	ordered       revisions never go down
//	unique        no event twice
//	atomic        of the events of one revision the last alone carries an id
//	bookmarkable  progress at R: all up to R was delivered
//	resumable     a stream misses and repeats nothing of what follows its start
//	reliable      no gaps
//	prev          what was there before is right
//	creation      versions and revisions are right, and so are values
//
// and that nothing is told before it was asked for, nor refused without need. A
// watcher that is closed with the code "complete" must have had all that there is.
func Watches(run *Run) Result {
	r := Result{Check: "watches"}
	watchers := make(map[int][]*history.Watch)
	var order []int
	for _, w := range run.History.Watches {
		if watchers[w.Watcher] == nil {
			order = append(order, w.Watcher)
		}
		watchers[w.Watcher] = append(watchers[w.Watcher], w)
	}
	slices.Sort(order)
	for _, id := range order {
		var s *stream
		for _, w := range watchers[id] {
			if w.What == history.Open || w.What == history.Refused {
				s = newStream(run, &r, w)
			}
			if s == nil {
				r.failWatch(id, 0, "has a %s before its first stream", w.What)
				break
			}
			s.take(w)
		}
	}
	return r
}

func (r *Result) failWatch(watcher int, revision uint64, format string, args ...any) {
	r.fail(Violation{What: fmt.Sprintf("watcher %d ", watcher) + fmt.Sprintf(format, args...), Watcher: watcher, Revision: revision})
}
