// Package report says what a run did and what it showed, as JSON for programs
// and as a page of Markdown for people, and adds up the reports of several runs.
//
// A run has one of three verdicts: Passed, Violated, or DidNotCount, where
// nothing was found because too little was tried. It starts no goroutine.
package report
