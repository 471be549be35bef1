// Command bare is the least that an HTTP server can do: it answers every
// request with the same 128 bytes. TestWrkRatios loads it as it loads kvd, and
// so tells what part of net/http's speed is left when there is a store behind.
package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: bare HOST:PORT")
	}
	l, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("serving on", l.Addr())
	answer := bytes.Repeat([]byte("x"), 128)
	log.Fatal(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A PUT's body is read, as every server must.
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Write(answer)
	})))
}
