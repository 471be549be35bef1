// Package test holds the tests of the real binary: processes, signals, ports,
// files and HTTP, as a user meets them. It imports nothing below internal; what
// it knows is what README.md says.
//
// TestMain builds ./cmd/kvd once into a directory of its own. Every process
// that a test starts belongs to it and is ended by its id when the test ends;
// the last lines of its log are shown when the test has failed. Ports are
// looked for at run time and directories are the test's own, so tests run side
// by side.
//
// Environment variables change what is run:
//
//	KVD_TEST_BINARY=path     test this binary instead of building one
//	KVD_TEST_RACE=1          build the binary with the race detector
//	KVD_FAULT_SECONDS=600    how long TestFaults loads and breaks the cluster (30)
//	KVD_FAULT_SEED=7         which faults in which order (random, printed)
//	KVD_TEST_LOGS=dir        keep the whole logs of the members of failed tests there
//	KVD_INCREMENT_SECONDS=60 how long TestIncrements does (8), and with the same seed
//	KVD_WATCH_SECONDS=60     how long TestWatchFaults does (15), and with the same seed
//	KVD_BENCH_WATCH=1        run TestIdleWatchers and TestFanOut in full (make bench-watch)
//	KVD_BENCH_KEYS=1         run TestMillionKeys (make bench-keys)
//	KVD_BENCH_WRK=1          run TestWrkRatios, which needs wrk (make bench-wrk)
package test
