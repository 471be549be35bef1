package raftnode

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// A state of 500 MB on its way to or from the disk must not hold up the log
// beside it: a file system that orders its writes makes an fsync of the log wait
// for all that is dirty, and for long deletions. So a body goes out piece by
// piece and its space is given back piece by piece. (snap.SaveDBFrom writes all
// of it and then syncs; writes to the log waited for 170 to 360 ms.)
const (
	bodyPieceBytes = 1 << 20
	// bodyBytesPerSecond bounds the writing of a body. One of 500 MB takes 5 s,
	// and leaves the disk to the log for most of the time.
	bodyBytesPerSecond = 100 << 20
	bodyDropBytes      = 16 << 20
	bodyDropPause      = 10 * time.Millisecond
)

// saveBody writes a file in one piece or not at all: it has its name once all of
// it is durable.
func saveBody(path string, r io.Reader) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "tmp")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // after the renaming there is none
	err = writeBodyPieces(f, r)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

func writeBodyPieces(f *os.File, r io.Reader) error {
	began := time.Now()
	for off := int64(0); ; {
		n, err := io.CopyN(f, r, bodyPieceBytes)
		if n > 0 {
			if err := writeOut(f, off, n); err != nil {
				return err
			}
		}
		off += n
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		// Who is slower than that anyway, such as a snapshot that comes over a
		// network, is not slowed further.
		time.Sleep(time.Until(began.Add(time.Duration(off * int64(time.Second) / bodyBytesPerSecond))))
	}
}

// bodyFiles are the bodies that are being read, and the files that are being given
// up: one that is read keeps all its bytes until its last reader has closed it.
type bodyFiles struct {
	mu      sync.Mutex
	readers map[string]int      // by path
	dropped map[string]*os.File // without a name, and still read
	wg      sync.WaitGroup      // of those that give space back
}

// bodyFile is a body that is read.
type bodyFile struct {
	*os.File
	path string
	b    *bodyFiles
	once sync.Once
}

func (b *bodyFiles) open(path string) (*bodyFile, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if b.readers == nil {
		b.readers = make(map[string]int)
	}
	b.readers[path]++
	return &bodyFile{File: f, path: path, b: b}, nil
}

// Close implements io.Closer.
func (f *bodyFile) Close() error {
	err := f.File.Close()
	f.once.Do(func() { f.b.closed(f.path) })
	return err
}

func (b *bodyFiles) closed(path string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.readers[path]--; b.readers[path] > 0 {
		return
	}
	delete(b.readers, path)
	if f := b.dropped[path]; f != nil {
		delete(b.dropped, path)
		b.giveBackLocked(f)
	}
}

// drop deletes a file at once by its name, and gives its space back bit by bit,
// in the background. A crash in between leaves that to the file system.
func (b *bodyFiles) drop(path string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return errors.Join(err, f.Close())
	}
	if b.readers[path] == 0 {
		b.giveBackLocked(f)
		return nil
	}
	if b.dropped == nil {
		b.dropped = make(map[string]*os.File)
	}
	b.dropped[path] = f
	return nil
}

func (b *bodyFiles) giveBackLocked(f *os.File) {
	b.wg.Go(func() { // within a second for a gigabyte
		defer f.Close()
		info, err := f.Stat()
		if err != nil || !nameless(info) { // a backup by hard links keeps what it has
			return
		}
		for size := info.Size() - bodyDropBytes; size > 0; size -= bodyDropBytes {
			if f.Truncate(size) != nil {
				return
			}
			time.Sleep(bodyDropPause)
		}
	})
}

// wait joins what is being given back.
func (b *bodyFiles) wait() { b.wg.Wait() }
