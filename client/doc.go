// Package client is the Go client of kvd: keys, listings, transactions, watches,
// leases, members, leadership, snapshots and verification, over any number of
// members of one cluster. It needs the standard library alone.
//
//	c, err := client.New(client.Config{Endpoints: []string{
//		"http://10.0.0.1:12380", "http://10.0.0.2:12380", "http://10.0.0.3:12380",
//	}})
//	…
//	put, err := c.Put(ctx, "greeting", []byte("hello"), nil)
//	got, err := c.Get(ctx, "greeting", nil)
//
// Keys are strings of any bytes. A [Client] is safe for concurrent use, and
// starts no goroutines of its own.
//
// Short calls to keys, transactions and leases at an http:// endpoint go over
// connections of the Client's own, which take a fraction of net/http's effort.
// Everything else is net/http's: watches, long polls, streams, long values, TLS,
// proxies, and all calls under a [Config.HTTPClient].
//
// # Retries
//
// Every member answers every request, so a Client stays with one as long as it
// answers well. An attempt that gets no answer, or 429, 502, 503 or 504, is
// followed by one at the next member, after a short random pause that grows from
// attempt to attempt and is never shorter than what Retry-After asks for: until
// there is an answer, the context ends, or [Config.Timeout] is over. All other
// answers are final.
//
// What is sent again must be safe to be sent again:
//
//   - Reads are.
//   - Writes of keys, transactions, and the grant and the end of leases carry an
//     Idempotency-Key, a random one unless the caller gives his own. The cluster
//     does a request once for each key, and answers each later one with the first
//     result ([PutResult.Replayed]). So a lost answer costs a repetition and never
//     a second write.
//   - Compaction, keepalives, snapshots and a transfer of leadership to a member
//     that is named do no more when they are done twice.
//   - Changes of the membership are sent again only when the first attempt was
//     surely not applied: no connection was made, or the member said so. The same
//     holds for all writes under [Config.NoIdempotencyKeys]. What a change would
//     do ([Client.PlanRemove] and the like) is a read.
//
// A member whose state has diverged from the others' serves no keys until it has
// a new one, and answers 503: the next member is asked, and nobody notices.
//
// When there is no further attempt, the error is an [*Error], which works with
// errors.Is and the sentinels of this package, such as [ErrPrecondition]. Its
// Outcome speaks of all the attempts together: [NotApplied] is certain,
// [OutcomeUnknown] means that the write may have been applied, or may still be.
// The same call with the same IdempotencyKey settles that, as long as the cluster
// remembers the key: for ten minutes, or until 1,000,000 later ones have come.
//
// # Watches
//
// A [Watcher] goes on by itself when its stream is cut, with any member, from the
// last revision that was whole: no event comes twice, and none is missing. Where
// that is impossible, since the history was compacted meanwhile, it ends with a
// [*CompactedError].
//
// # Backups
//
// [Client.TakeSnapshot] and [Client.LatestSnapshot] make a backup of the whole
// store in one file, consistent and of one revision. A [Snapshot] checks what it
// reads against the member's digest: one that ends with io.EOF is whole.
package client
