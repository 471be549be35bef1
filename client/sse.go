package client

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
)

// frame is one server-sent event (WHATWG HTML, section 9.2), as far as kvd uses
// them: it writes every field of every frame anew.
type frame struct {
	id    string // "": none
	event string
	data  []byte // valid until the next frame is read
}

// frames reads server-sent events.
type frames struct {
	r     *bufio.Reader
	limit int64 // of the data of one
	line  []byte
	data  []byte
}

func newFrames(r io.Reader, limit int64) *frames {
	return &frames{r: bufio.NewReaderSize(r, lineBuffer), limit: limit}
}

// next returns the next frame. io.EOF: the stream ended between two frames; one
// that ends within a frame is io.ErrUnexpectedEOF, and half a frame is none.
func (f *frames) next() (frame, error) {
	var fr frame
	begun, lines := false, 0
	f.data = f.data[:0]
	for {
		var err error
		f.line, err = readLine(f.r, f.line[:0], f.limit)
		switch {
		case err == io.EOF && begun:
			return frame{}, io.ErrUnexpectedEOF
		case err != nil:
			return frame{}, err
		case len(f.line) == 0 && begun:
			fr.data = f.data
			return fr, nil
		case len(f.line) == 0 || f.line[0] == ':':
			continue // a comment keeps the connection alive
		}
		begun = true
		name, value, _ := bytes.Cut(f.line, []byte{':'})
		value = bytes.TrimPrefix(value, []byte{' '})
		switch string(name) {
		case "id":
			fr.id = string(value)
		case "event":
			fr.event = string(value)
		case "data":
			if lines++; lines > 1 {
				f.data = append(f.data, '\n')
			}
			if int64(len(f.data)+len(value)) > f.limit {
				return frame{}, fmt.Errorf("%w: an event of more than %d bytes", ErrTooLarge, f.limit)
			}
			f.data = append(f.data, value...)
		}
	}
}
