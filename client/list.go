package client

import (
	"context"
	"iter"
	"net/http"
	"strconv"
)

const listPath = "/v1/kv"

// ListOptions say which keys a listing shows, and how. nil means all of them.
type ListOptions struct {
	ReadOptions

	Prefix     string // all keys that begin with it
	Start, End string // from Start to before End; "": no bound. Not together with Prefix

	// Separator folds the keys that go on behind it, once the Prefix is passed,
	// into what they have in common up to it, as directories fold files. "":
	// nothing is folded.
	Separator string

	Reverse  bool
	KeysOnly bool // without values
	Limit    int  // entries a page; 0: the member's default, 1,000. All goes beyond

	// Cursor goes on with a listing: Page.Next of a page, with the same options.
	Cursor string
}

// call prepares the call that lists o.
func (o *ListOptions) call() *call {
	q := newCall(reading, http.MethodGet, listPath)
	q.timed = true
	o.parameters(q)
	set := func(name, value string) {
		if value != "" {
			q.param(name, value)
		}
	}
	set("prefix", o.Prefix)
	set("start", o.Start)
	set("end", o.End)
	set("separator", o.Separator)
	set("cursor", o.Cursor)
	if o.Limit != 0 {
		q.param("limit", strconv.Itoa(o.Limit))
	}
	if o.Reverse {
		q.param("reverse", "true")
	}
	if o.KeysOnly {
		q.param("keys", "true")
	}
	return q
}

// Page is a part of a listing.
type Page struct {
	ReadInfo
	Items    []Item
	Prefixes []string // what was folded; see ListOptions.Separator
	Next     string   // ListOptions.Cursor of the page after this one; "": there is none
}

// pageJSON is a page as members write it.
type pageJSON struct {
	Items          []itemJSON `json:"items"`
	Prefixes       []string   `json:"prefixes"`
	PrefixesBase64 [][]byte   `json:"prefixes_base64"`
	Next           string     `json:"next"`
}

// List returns one page of keys, in their order. All its pages show the moment
// of the first.
func (c *Client) List(ctx context.Context, o *ListOptions) (*Page, error) {
	if o == nil {
		o = &ListOptions{}
	}
	var j pageJSON
	a, err := c.doJSON(ctx, o.call(), &j)
	if err != nil {
		return nil, err
	}
	p := &Page{ReadInfo: readInfo(a), Prefixes: j.Prefixes, Next: j.Next}
	for i := range j.Items {
		p.Items = append(p.Items, j.Items[i].item())
	}
	for _, b := range j.PrefixesBase64 {
		p.Prefixes = append(p.Prefixes, string(b))
	}
	return p, nil
}

// CountResult is a number of keys.
type CountResult struct {
	ReadInfo
	Count uint64
}

// Count returns the number of entries that a listing has. Limit and Cursor must
// not be set.
func (c *Client) Count(ctx context.Context, o *ListOptions) (*CountResult, error) {
	if o == nil {
		o = &ListOptions{}
	}
	q := o.call()
	q.param("count", "true")
	var j struct {
		Count uint64 `json:"count"`
	}
	a, err := c.doJSON(ctx, q, &j)
	if err != nil {
		return nil, err
	}
	return &CountResult{readInfo(a), j.Count}, nil
}

// Entry is one entry of a listing: an item, or what others were folded into.
type Entry struct {
	Item
	Prefix string // "": this is an item
}

// All returns every entry of a listing in order, however many there are, as they
// were at one moment. Little is held in memory: they come as a stream, or page
// by page where something is folded or o has a Cursor. A stream that is cut goes
// on with another member where it ended.
//
// An error comes last, with an empty entry.
func (c *Client) All(ctx context.Context, o *ListOptions) iter.Seq2[Entry, error] {
	if o == nil {
		o = &ListOptions{}
	}
	if o.Separator == "" && o.Cursor == "" {
		return c.lines(ctx, *o)
	}
	return c.pages(ctx, *o)
}

// pages is All by pages.
func (c *Client) pages(ctx context.Context, o ListOptions) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for o := o; ; {
			p, err := c.List(ctx, &o)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for e := range p.entries(o.Reverse) {
				if !yield(e, nil) {
					return
				}
			}
			if p.Next == "" {
				return
			}
			o.Cursor = p.Next
		}
	}
}

// entries returns what a page shows in the order of the listing, which it has
// lost in parting items and prefixes.
func (p *Page) entries(reverse bool) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		items, folds := p.Items, sorted(p.Prefixes, reverse)
		for len(items) > 0 || len(folds) > 0 {
			var e Entry
			if len(folds) == 0 || len(items) > 0 && (items[0].Key < folds[0]) != reverse {
				e.Item, items = items[0], items[1:]
			} else {
				e.Prefix, folds = folds[0], folds[1:]
			}
			if !yield(e) {
				return
			}
		}
	}
}
