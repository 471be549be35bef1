// Package test holds the tests of the real binary: processes, signals, ports,
// files and HTTP, as a user meets them. It imports nothing below internal; what
// it knows is what README.md says.
//
// TestMain builds ./cmd/kvd once into a directory of its own. Every process
// that a test starts belongs to it and is ended by its id when the test ends;
// the last lines of its log are shown when the test has failed. Ports are
// looked for at run time and directories are the test's own, so tests run side
// by side. Tests of the network between members put each into a network
// namespace of its own, which takes root and the command ip; without, they are
// skipped and say so.
//
// TestFaults, TestGoClientFaults, TestIncrements, TestWatchFaults,
// TestCorruptionUnderLoad, TestPartialPartitions, TestMembershipChanges and
// TestDivergedState draw from KVD_FAULT_SEED.
//
// Environment variables change what is run:
//
//	KVD_TEST_BINARY=path     test this binary instead of building one
//	KVD_TEST_RACE=1          build the binary with the race detector
//	KVD_FAULT_SECONDS=600    how long TestFaults loads and breaks the cluster (12)
//	KVD_FAULT_SEED=7         which faults in which order (random, printed)
//	KVD_TEST_LOGS=dir        keep the whole logs of the members of failed tests there
//	KVD_INCREMENT_SECONDS=60 how long TestIncrements does (8), and with the same seed
//	KVD_WATCH_SECONDS=60     how long TestWatchFaults does (10), and with the same seed
//	KVD_ROLLING_ROUNDS=10    how often TestRollingRestart goes around (1)
//	KVD_PARTITION_LONG=1     the partition tests cut for as long as outages last, in all ways
//	KVD_SLOW_SECONDS=300     how long TestSlowPeer writes beside a slow link (12)
//	KVD_CHANGES=40           how many changes TestMembershipChanges makes (9)
//	KVD_BENCH_SNAPSHOT=1     run TestBigSnapshot (make bench-snapshot); KVD_BENCH_MEGABYTES
//	                         is the size of its state (500)
//	KVD_BENCH_WATCH=1        run TestIdleWatchers and TestFanOut in full (make bench-watch)
//	KVD_BENCH_KEYS=1         run TestMillionKeys (make bench-keys)
//	KVD_BENCH_WRK=1          run TestWrkRatios, which needs wrk (make bench-wrk)
package test
