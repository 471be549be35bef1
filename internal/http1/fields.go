package http1

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// takeFields starts the head with the handler's status and header, as they are when
// it gives the status: what it does to the header afterwards is too late.
func (a *answer) takeFields() {
	b := append(a.out, statusLine(a.status)...)
	a.keys = a.keys[:0]
	for key := range a.header {
		a.keys = append(a.keys, key)
	}
	slices.Sort(a.keys)
	for _, key := range a.keys {
		values := a.header[key]
		switch key {
		case "Content-Length":
			a.declared = declaredLength(a.status, values)
			continue
		case "Connection":
			a.close = len(values) > 0 && strings.EqualFold(values[0], "close")
			continue
		case "Transfer-Encoding":
			continue
		case "Content-Type":
			if a.status == http.StatusNotModified {
				continue
			}
		}
		if key == "" || !tokens.all(key) {
			continue // as net/http does
		}
		for _, value := range values {
			b = append(append(b, key...), ": "...)
			b = append(appendValue(b, value), "\r\n"...)
		}
	}
	if _, given := a.header["Date"]; !given {
		b = a.conn.s.clock.appendDate(b)
	}
	a.out = b
}

// declaredLength is the length that a handler has given; -1: none that makes sense.
func declaredLength(status int, values []string) int64 {
	if len(values) == 0 || bodiless(status) {
		return -1
	}
	n, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// appendValue appends a header's value, which cannot end its line.
func appendValue(b []byte, value string) []byte {
	if strings.ContainsAny(value, "\r\n") {
		value = strings.NewReplacer("\r", " ", "\n", " ").Replace(value)
	}
	return append(b, strings.Trim(value, " \t")...)
}

// statusLines are those of every day.
var statusLines = func() (lines [600]string) {
	for code := range lines {
		if text := http.StatusText(code); text != "" {
			lines[code] = "HTTP/1.1 " + strconv.Itoa(code) + " " + text + "\r\n"
		}
	}
	return lines
}()

func statusLine(code int) string {
	if code < len(statusLines) && statusLines[code] != "" {
		return statusLines[code]
	}
	return "HTTP/1.1 " + strconv.Itoa(code) + " status code " + strconv.Itoa(code) + "\r\n"
}
