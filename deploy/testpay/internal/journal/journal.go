// Package journal keeps records in an append-only file, one JSON record a line, and answers for them:
// a record whose Commit has been waited for survives kill -9 and a power failure.
package journal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// A line is {"crc":"01234567","entry":<record>}: still plain JSON, with a checksum (CRC-32C of the record's bytes)
// so that a record damaged on the disk stops the start instead of becoming somebody's money.
const (
	linePrefix = `{"crc":"`
	lineMiddle = `","entry":`
	lineSuffix = "}\n"
	crcDigits  = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrLocked says that another process writes to this journal.
var ErrLocked = errors.New("in use by another process")

// ErrClosed is what records appended after Close get.
var ErrClosed = errors.New("journal is closed")

// Journal is safe for concurrent use. After its first failed write or fsync it refuses everything: what the disk holds is
// unknown then, and only a new start, which reads it, can tell.
type Journal struct {
	file *os.File

	mu     sync.Mutex
	more   *sync.Cond // signalled when open has gained a record, or closing was set
	open   *Commit    // gathers records while its predecessor is being flushed
	tail   *Commit    // the youngest commit that holds a record
	err    error
	closed bool

	failed  chan struct{} // closed at the first failure
	stopped chan struct{} // closed when the flusher has ended
}

// Commit is a group of records that reach the disk with one write and one fsync.
type Commit struct {
	lines []byte
	done  chan struct{}
	err   error
}

// Wait returns nil once the records, and all before them, are on the disk.
func (c *Commit) Wait() error {
	<-c.done
	return c.err
}

// Open locks the file (creating it if need be), hands every record to replay in order, and drops a last line that a
// crash cut short: nobody has ever waited for it successfully. Any other damage is an error.
func Open(path string, replay func(record []byte) error) (*Journal, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := load(file, replay); err != nil {
		return nil, errors.Join(fmt.Errorf("journal %s: %w", path, err), file.Close())
	}
	if err := syncDirectory(filepath.Dir(path)); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	j := &Journal{file: file, open: newCommit(), failed: make(chan struct{}), stopped: make(chan struct{})}
	j.more = sync.NewCond(&j.mu)
	j.tail = newCommit()
	close(j.tail.done) // an empty tail: all that was read is durable
	go j.flush()
	return j, nil
}

func load(file *os.File, replay func([]byte) error) error {
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return ErrLocked
		}
		return fmt.Errorf("lock: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("is not a regular file") // a device may swallow records, or never end
	}
	var whole int64 // bytes of complete lines
	lines := bufio.NewReaderSize(file, 1<<16)
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break // what was read without its newline is the torn line
		}
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		record, err := decode(line)
		if err == nil {
			err = replay(record)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		whole += int64(len(line))
	}
	if err := file.Truncate(whole); err != nil {
		return fmt.Errorf("drop the torn line: %w", err)
	}
	if _, err := file.Seek(whole, io.SeekStart); err != nil {
		return err
	}
	// The records read may have been in the page cache only, if the last writer was killed before its fsync; from here on
	// they are shown to clients, so they must be as durable as all others.
	return file.Sync()
}

// syncDirectory makes a newly created file's name durable.
func syncDirectory(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Append adds a record, which must hold no newline. The order of records is the order of calls. The record is not safe
// before Wait of the returned commit has answered.
func (j *Journal) Append(record []byte) *Commit {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.err != nil:
		return failedCommit(j.err)
	case j.closed:
		return failedCommit(ErrClosed)
	}
	j.open.lines = encode(j.open.lines, record)
	j.tail = j.open
	j.more.Signal()
	return j.open
}

// Tail is the commit to wait for before showing anybody what has been appended so far. After Close it fails: what was
// appended too late is in no file.
func (j *Journal) Tail() *Commit {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.err != nil:
		return failedCommit(j.err)
	case j.closed:
		return failedCommit(ErrClosed)
	}
	return j.tail
}

// flush writes one group after the other; while one is being synced, the next one gathers.
func (j *Journal) flush() {
	defer close(j.stopped)
	for {
		j.mu.Lock()
		for len(j.open.lines) == 0 && !j.closed {
			j.more.Wait()
		}
		group := j.open
		if len(group.lines) == 0 {
			j.mu.Unlock()
			return
		}
		j.open = newCommit()
		err := j.err
		j.mu.Unlock()

		if err == nil {
			err = j.write(group.lines)
		}
		if err != nil {
			j.fail(err)
		}
		group.err = err
		group.lines = nil
		close(group.done)
	}
}

func (j *Journal) write(lines []byte) error {
	if _, err := j.file.Write(lines); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	// A failed fsync is never tried again: the kernel may have dropped the pages and would then report success.
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("sync journal: %w", err)
	}
	return nil
}

func (j *Journal) fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err == nil {
		j.err = err
		close(j.failed)
	}
}

// Failed is closed at the first failed write; Err then tells the cause.
func (j *Journal) Failed() <-chan struct{} { return j.failed }

// Err is the first failure, or nil.
func (j *Journal) Err() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// Close writes what has been appended, and releases the file. It may be called once.
func (j *Journal) Close() error {
	j.mu.Lock()
	j.closed = true
	j.more.Signal()
	j.mu.Unlock()
	<-j.stopped
	return errors.Join(j.Err(), j.file.Close())
}

func newCommit() *Commit { return &Commit{done: make(chan struct{})} }

func failedCommit(err error) *Commit {
	c := newCommit()
	c.err = err
	close(c.done)
	return c
}

func encode(to, record []byte) []byte {
	to = append(to, linePrefix...)
	to = fmt.Appendf(to, "%0*x", crcDigits, crc32.Checksum(record, castagnoli))
	to = append(to, lineMiddle...)
	to = append(to, record...)
	return append(to, lineSuffix...)
}

func decode(line []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(line, []byte(linePrefix))
	if !ok || len(rest) < crcDigits {
		return nil, errors.New("is not a journal record")
	}
	sum, rest := rest[:crcDigits], rest[crcDigits:]
	rest, okMiddle := bytes.CutPrefix(rest, []byte(lineMiddle))
	record, okSuffix := bytes.CutSuffix(rest, []byte(lineSuffix))
	if !okMiddle || !okSuffix {
		return nil, errors.New("is not a journal record")
	}
	if want := fmt.Sprintf("%0*x", crcDigits, crc32.Checksum(record, castagnoli)); want != string(sum) {
		return nil, fmt.Errorf("checksum is %s, the record's is %s", sum, want)
	}
	return record, nil
}
