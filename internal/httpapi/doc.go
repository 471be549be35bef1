// Package httpapi serves kvd's REST API: keys, members, status, health,
// metrics, and raftexample's five routes for who wants them.
//
// It owns the way from an HTTP request to a command of the store and back:
// which bytes of the path are the key, which conditions a request carries, how
// long it may take, and which answer an outcome gets. It never learns what raft
// is. The store and the cluster are interfaces declared here, with errors that
// one table (problem.go) turns into problem documents; one table (route.go)
// lists every route.
//
// # Goroutines
//
// The package starts none. A [Handler] is called on the goroutines of an
// http.Server and is safe for all of them at once; what it shares between
// requests are atomics, a pool of buffers and the deadline of the moment.
//
// # The path of a key
//
// Keys are bytes, and "//", "..", a trailing "/" and "%2F" are among them, so
// nothing may clean a path before the key is cut out of it: requests are routed
// on the escaped path as it came, and no ServeMux is ever asked.
//
// # Deadlines
//
// A request without a timeout of its own shares its context with those that
// came within the same tenth of a second (see deadlines): no timer, no
// allocation. Such a request is finished whether or not its client waits for
// it. That costs a few seconds of one goroutine at most, and it spares a client
// that has only closed its sending side, which net/http takes for one that has
// gone. A request with ?timeout= has a context of its own and ends when the
// client goes.
//
// # Listings
//
// A listing shows one moment, a [kvstore.View], to its last page: the cursor
// that leads from page to page names the revision and the place to go on from,
// and a checksum ties it to the range it was made for. Nothing is kept for it
// between requests, so any member takes it.
//
// Pages and lines are written as they are made, from one small buffer, however
// long they are. Each part has the time that a whole answer has elsewhere: who
// reads is served to the end, who does not is cut off.
//
// # Truth over silence
//
// A handler that returns without writing has said "200 OK" as far as net/http
// is concerned. So an outcome is always written, even to a connection that
// looks dead: a half-closed one may still be read from, and must not be told
// that a write that failed went well.
package httpapi
