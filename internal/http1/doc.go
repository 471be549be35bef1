// Package http1 serves the everyday requests of HTTP/1.1 connections, and hands
// every connection that brings anything else to net/http.
//
// A request of everyday is short: its head fits the buffer and comes in one
// piece, its body has a length and is small, its answer needs nobody to watch
// whether the client is still there. net/http is made for all requests, and spends
// on each of these a goroutine that waits for the client to hang up, timers for
// four deadlines, two maps and a context. Here a connection is one goroutine that
// reads, calls the same http.Handler, and writes.
//
// What makes this safe to have is how little of HTTP it speaks. The reader takes
// the plainest form of a request and no other: it never repairs, folds, skips or
// guesses. At the first byte that it does not expect, before it has answered
// anything of that request, it gives the connection away, with what it has read,
// and net/http serves it to its end: chunked bodies, Expect, Upgrade, HTTP/1.0,
// HTTP/2, repeated or odd headers, slow clients, requests that are wrong.
// FuzzRequest holds whatever is taken here against net/http's own reading of the
// same bytes.
//
// In return, a handler must be done with its request, its header and its
// ResponseWriter when it returns: they serve the next request. It says what type its
// answers are, for none is guessed, and gives no answers in between (1xx), no trailers
// and no flushes. TestAnswers has the rest the same as net/http, and what differs has a
// test beside it.
//
// An empty line that an old client sends behind a POST is the start of no request: the
// connection goes to net/http, which does not know of the POST and answers 400.
//
// Goroutines: one a connection, and those of the net/http server. Shutdown
// ends all of them, and Serve returns when they have; after Close, which cuts them off,
// a handler that goes on ends by itself.
package http1
