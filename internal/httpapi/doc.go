// Package httpapi serves kvd's REST API: keys, members, leadership, snapshots,
// verification, status, health, metrics, and raftexample's five routes for who
// wants them.
//
// It owns the way from an HTTP request to a command of the store and back:
// which bytes of the path are the key, which conditions a request carries, how
// long it may take, and which answer an outcome gets. It never learns what raft
// is. The store, the cluster and what can be done to it (Membership, Leadership,
// Snapshots, Verifier, Guard) are interfaces declared here, with errors that one
// table (problem.go) turns into problem documents; one table (route.go) lists
// every route, and what is to be checked before it.
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
// # Watches
//
// A watch is a [kvstore.Watcher] and a feed that writes what it returns. Nothing
// is queued for it: while it waits it holds room for a few events and no buffer,
// and while its client is slow a chunk and the few events that it is about to
// tell. What comes next is in the history, and when that is gone it says reset
// and ends.
//
// It has no deadline as a whole. Each write has one, so that a client that does
// not read is cut off, and progress every 15 s finds one that is gone without a
// word. One that has closed its connection, or its sending side, is missed at
// once. Drain ends all watches: the one thing that another goroutine does to a
// request, by its context and its deadlines.
//
// A long poll is a read, and a watch of one key where that read is no news.
//
// # The Guard
//
// A member whose state is not the others' must not show it. Each request that
// reads or writes the store, or takes or fetches a snapshot of it, asks the
// [Guard] first, which costs an atomic read, and is refused with 503 diverged: a
// write with the certainty that nothing was done. Members, leadership, status,
// health, metrics and verification go on, so that the member can be looked at.
//
// Watches and long polls belong to an era, a time in which the Guard said yes
// without a break. Whoever finds that it says no, be it a request, a probe or a
// scrape, ends the era and all that belongs to it; a watch that nobody else ends
// asks by itself before each event and each progress. A long poll then says
// diverged, and not that there was no news.
//
// # Snapshots
//
// The newest snapshot is a file like any other: http.ServeContent serves it, with
// ranges and conditions on the tag of its index and term. Its digest is found
// before the first byte is sent, which means reading the file once more, and is
// remembered. Repr-Digest is that digest always; Content-Digest, which is of the
// bytes of one answer, stands where these are the whole file.
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
// A page ends by its limit, or once it holds 8 MiB of keys and values: then it
// has a next one like any other. A listing in lines holds on to the history of
// its moment for as long as its reader takes, so there is a limit to how many
// there are at once.
//
// # Transactions
//
// The body of POST /v1/txn is read in place (jsonText): names to the letter,
// numbers as they are, and nothing passed over, since what a transaction means
// must not depend on how forgiving a reader is. What is wrong is told with the
// place where it is, "then[2].put: …". A transaction has
//
//	if         comparisons {"key":…, TARGET:{OPERATOR:…}}, all of which must hold
//	           targets mod_revision, create_revision, version (numbers), value,
//	           value_base64, lease (an id, or "" for none), and "exists":true|false
//	           operators eq ne gt lt ge le, with the key's side on the left
//	then else  operations, applied in order, each seeing those before it
//	  put      key, value, content_type, ttl or lease, prev
//	  get      key
//	  delete   key, prev; or a range of keys, with "confirm":"all" for all there are
//	  range    prefix, or start and end; limit, reverse, keys; or count
//
// where each key, value and bound may stand in base64 under its name_base64. The
// answer has one result for each operation of the branch that was applied, under
// the operation's name:
//
//	{"put":{"created":true,"mod_revision":44,"prev":ITEM}}  prev only if asked for; null: there was none
//	{"get":ITEM}                                            null: there is no such key
//	{"delete":{"deleted":1,"prev":ITEM}}
//	{"range":{"count":3,"items":[ITEM,…],"more":false}}     count is of items; with "count":true
//	                                                        it is of the range, and stands alone
//
// Items look as they do everywhere. A range ends at its limit or at 4 MiB, which
// more tells. A transaction that reads more than 16 MiB, or goes through more than
// 1,048,576 keys, is refused (413, not applied).
//
// # Writes that are sent again
//
// Every write of the store takes an Idempotency-Key, and the store remembers
// under it what the write came to: failed conditions and leases that were not
// there too, but not refusals that changed nothing and may end, such as
// no_space. The answer to a replay is made from that result in the same way as
// the first one, so it has the same status, fields and body, but for the
// request_id of a problem and for Idempotent-Replay: true. What a keepalive's
// replay says of the time that remains was true when it was first sent. Writes
// of members refuse the header: their ids make them repeatable.
//
// # Changes that are only thought of
//
// With dry_run=true a change of the membership goes the same way, up to the call
// that would make it: the answer is a plan, with the refusal that the change would
// get. Whatever becomes of the question itself, nothing was changed.
//
// # Truth over silence
//
// A handler that returns without writing has said "200 OK" as far as net/http
// is concerned. So an outcome is always written, even to a connection that
// looks dead: a half-closed one may still be read from, and must not be told
// that a write that failed went well.
package httpapi
