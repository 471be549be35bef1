// Package httpload is an HTTP/1.1 client for load alone. A connection is kept
// alive and carries one request at a time; requests are bytes made once, with
// the key patched into its place; of an answer it reads the status, and enough
// of the headers to know where the body ends, which it throws away.
//
// So it costs less than the servers that it loads, which share its cores. It is
// no client for anything else: no TLS, no redirects, no compression, and no
// defence against a server that means harm.
package httpload
