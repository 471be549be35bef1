package client

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// EventType says what an event tells.
type EventType string

// Types of events.
const (
	EventPut      EventType = "put"
	EventDelete   EventType = "delete"
	EventExpire   EventType = "expire"   // a lease or TTL ended
	EventProgress EventType = "progress" // all events up to Revision were delivered

	eventReset EventType = "reset" // the stream cannot go on
)

// Event is one change of one key, or progress.
type Event struct {
	Type     EventType
	Revision uint64 // of the store, by this change
	Last     bool   // the watch has no further event of this revision

	// Item is the key as a put has left it. Of a key that is gone it has Key
	// and ModRevision alone, and of progress nothing.
	Item Item
	Prev *Item // the item before, where asked for; nil: there was none
}

// message is what one frame of a watch says.
type message struct {
	Event
	oldest uint64 // of a reset; 0: not told
}

// parseMessage reads a frame. False: it is of a type that is not known, and
// which a later kvd may send.
func parseMessage(f frame) (message, bool, error) {
	m := message{Event: Event{Type: EventType(f.event), Last: f.id != ""}}
	var id uint64
	if m.Last {
		var err error
		if id, err = strconv.ParseUint(f.id, 10, 64); err != nil {
			return m, false, fmt.Errorf("%w: event id %.40q", ErrBadAnswer, f.id)
		}
	}
	switch m.Type {
	case EventPut, EventDelete, EventExpire, EventProgress, eventReset:
	default:
		return m, false, nil
	}
	var j struct {
		itemJSON
		Prev           *itemJSON `json:"prev"`
		OldestRevision uint64    `json:"oldest_revision"`
	}
	if err := json.Unmarshal(f.data, &j); err != nil {
		return m, false, fmt.Errorf("%w: event: %w", ErrBadAnswer, err)
	}
	switch m.Type {
	case EventProgress:
		if !m.Last {
			return m, false, nil // it says nothing that could be relied on
		}
		m.Revision = id
	case eventReset:
		m.oldest = j.OldestRevision
	default:
		m.Item, m.Prev = j.item(), itemOf(j.Prev)
		m.Revision = m.Item.ModRevision
		if m.Item.Key == "" || m.Revision == 0 || m.Last && id != m.Revision {
			return m, false, fmt.Errorf("%w: event %q of revision %d", ErrBadAnswer, f.id, m.Revision)
		}
	}
	return m, true, nil
}
