package main

import (
	"encoding/base64"
	"math/rand/v2"
)

// keyBytes is the length of every key; base64 makes keyBase64 of it.
const (
	keyBytes  = 32
	keyBase64 = (keyBytes + 2) / 3 * 4
)

// keyPrefix begins every key. All bytes stand for themselves in a path.
const keyPrefix = "bench/"

// appendKey appends the key with this number.
func appendKey(b []byte, number int) []byte {
	b = append(b, keyPrefix+"00000000000000000000000000"...)
	for i := len(b) - 1; number > 0; i, number = i-1, number/10 {
		b[i] = byte('0' + number%10)
	}
	return b
}

func key(number int) string { return string(appendKey(nil, number)) }

// chooser chooses keys, each as likely as any other. It belongs to one worker.
type chooser struct {
	rng  *rand.Rand
	keys int
	key  [keyBytes]byte
}

func newChooser(seed uint64, worker, keys int) *chooser {
	return &chooser{rng: rand.New(rand.NewPCG(seed, uint64(worker))), keys: keys}
}

// next returns a key, which is good until the next call.
func (c *chooser) next() []byte { return appendKey(c.key[:0], c.rng.IntN(c.keys)) }

// value returns n bytes that no compression makes much smaller, and that are text.
func value(n int) []byte {
	raw := make([]byte, n)
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range raw {
		raw[i] = byte(rng.Uint32())
	}
	return []byte(base64.RawURLEncoding.EncodeToString(raw))[:n]
}
