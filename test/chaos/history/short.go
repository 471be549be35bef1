package history

import (
	"crypto/sha256"
	"fmt"
	"unicode/utf8"
)

// shortBytes is how long a value is that a history tells as it is.
const shortBytes = 64

// Short returns a value as histories have it: text up to 64 bytes as it is, and
// any other by its length and its hash. A history of large values would not fit
// into memory, and to compare them the hash is enough.
func Short(value []byte) string {
	if len(value) <= shortBytes && utf8.Valid(value) {
		return string(value)
	}
	sum := sha256.Sum256(value)
	return fmt.Sprintf("#%d:%x", len(value), sum[:12])
}
