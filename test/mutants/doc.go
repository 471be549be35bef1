// Command mutants shows that the tests would notice: it puts real bugs back,
// one at a time, and runs the tests that should fail then.
//
// A mutant (see Mutant) is a small edit of the source, kept here as text. It is
// applied to copies in a temporary directory, which the go command compiles in
// the place of the originals (-overlay). The source holds no switch for any of
// it, and a normal build is what it is without this directory.
//
// Each mutant names the tests that should catch it, the cheapest layer first:
//
//	unit        a few tests of one package
//	scripted    tests of internal/clustertest that play one scene with whole clusters
//	simulation  TestSimulation of internal/clustertest, seed after seed
//	binary      tests of ./test, which run the real program
//	power       test/powerfail: the real program on file systems that lose power
//	chaos       test/chaos: a real cluster under load and faults
//
// The first layer whose tests fail in every run has caught it. They must fail as
// tests do: a build that fails, or a time limit that ends the run, catches
// nothing, and the same tests must pass on the source as it is. Beside that the
// simulation tries each mutant once, to learn how strong it is, and with -all so
// do the other layers. A mutant that no layer catches in every run survives, and
// the command ends with exit code 1.
//
//	go run ./test/mutants [-run REGEXP] [-layer unit,scripted] [-all] [-runs 3]
//	    [-seed 1] [-seeds 100] [-json FILE]
//	go run ./test/mutants sum FILE...
//
// Without -layer it runs what the machine can: power and chaos need Linux, root, and
// commands that it names if they are missing. One unit test needs strace, and without
// it notices nothing.
//
// It prints a table in Markdown, and what it does on the way to stderr. A sum puts
// together what several runs have written with -json, the last of which counts.
package main
