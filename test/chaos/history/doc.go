// Package history is the record of a run: what clients asked of a cluster and
// what they were told, what watchers received, which faults there were, and how
// the run ended. Programs that put load on a cluster write it, and the checks in
// test/chaos/check read it; neither knows more of the other than this.
//
// A history is a file of JSON lines, one Record each, in no particular order: a
// record is written when what it tells of is over, and carries its own times.
// Times are nanoseconds of one monotonic clock since the run began, so that a
// history says of two operations which was over before the other began.
//
// A Writer may be used by any number of goroutines. It starts none.
//
// # Outcomes
//
// The checks are as good as the outcomes. OK is an answer that a member gave
// from the state of the store, whatever it says: a condition that does not hold
// and a key that does not exist are answers. Failed is a write of which it is
// certain that it did not happen and never will. All else is Unknown, above all
// a connection that broke: a check takes it for a write that may take effect at
// any time, to the end of the run. Beware of net/http: it sends a request that has
// an Idempotency-Key again by itself when a connection breaks that it had used
// before, so that an error of the second dial may follow a request that was sent.
// Nothing was sent only if there never was a connection (httptrace, GotConn).
//
// # One operation and its attempts
//
// An Op is what the user of a client asked for. It begins before the first
// attempt and ends after the last. Who sends a write without an idempotency key
// twice must record it twice; with one, one Op for all attempts is right, and so
// is one Op for each.
package history
