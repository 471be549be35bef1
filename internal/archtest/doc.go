// Package archtest holds no code, only tests: the rules of the house that a
// compiler does not check. Which package may import which, that every package
// says what it is, that nothing below cmd ends the process, that the state
// machine has no clock, no randomness and no outside world, and that the pages
// in docs name tests that exist.
//
// A new package fails these tests until it has its row in the table of
// imports; that is the moment to ask where it belongs.
package archtest
