package http1

import (
	"net/http"
	"sync/atomic"
	"time"
)

// clock knows the Date header, which is the same for a second.
type clock struct{ last atomic.Pointer[dated] }

type dated struct {
	second int64
	line   []byte
}

// appendDate appends the line of the Date header.
func (c *clock) appendDate(b []byte) []byte {
	now := time.Now()
	d := c.last.Load()
	if d == nil || d.second != now.Unix() {
		line := append([]byte("Date: "), now.UTC().Format(http.TimeFormat)...)
		d = &dated{now.Unix(), append(line, "\r\n"...)}
		c.last.Store(d)
	}
	return append(b, d.line...)
}
