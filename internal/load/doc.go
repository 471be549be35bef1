// Package load is a closed loop: a number of workers, each of which does one
// operation after the other and waits for the answer before it begins the next.
// It counts what succeeds and what fails, and keeps the time of each operation
// in a histogram.
//
// It does not know what an operation is. Whoever measures brings a [Worker] for
// each loop; what they talk to, and how, is theirs (httpload beside this package
// is a client that costs little).
//
// A closed loop tells how much a system does when so many clients wait for it.
// It does not tell what a client sees who comes at a given rate: while the
// system stalls, the loop does not ask.
//
// Goroutines: one for each worker, and the one that called Run, which reports
// progress. Run joins them all.
package load
