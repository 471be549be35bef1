// Package load keeps a cluster busy with clients that write down exactly what
// they asked and what they were told: registers with revisions, increments that
// are repeated until they are answered, transactions, listings, leases, and
// watchers. It speaks plain HTTP, so that no library decides what an outcome is.
//
// Clients work in groups on keys of their own. A key is used for five seconds,
// 1,400 operations and by five clients at most: the search for an order of a
// longer history may never end.
//
// Goroutines: one for each client and watcher; Run and Speak wait for all of theirs.
package load
