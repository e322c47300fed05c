package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"shop.example/deploy/testpay/internal/journal"
)

// open returns the journal at path and the records that it held.
func open(t *testing.T, path string) (*journal.Journal, []string) {
	t.Helper()
	var records []string
	j, err := journal.Open(path, func(record []byte) error {
		records = append(records, string(record))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return j, records
}

func write(t *testing.T, path string, records ...string) {
	t.Helper()
	j, _ := open(t, path)
	for _, record := range records {
		if err := j.Append([]byte(record)).Wait(); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRecordsComeBackInOrder(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	write(t, path, `{"n":1}`, `{"n":2}`)
	write(t, path, `{"n":3}`)
	j, got := open(t, path)
	defer j.Close()
	if diff := cmp.Diff([]string{`{"n":1}`, `{"n":2}`, `{"n":3}`}, got); diff != "" {
		t.Error(diff)
	}
}

func TestATornLastRecordIsDroppedWhereverItWasCut(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	write(t, path, `{"n":1}`, `{"n":2}`)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	firstLine := bytes.IndexByte(whole, '\n') + 1
	for cut := firstLine; cut < len(whole); cut++ {
		path := filepath.Join(t.TempDir(), "torn")
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		write(t, path, `{"n":3}`) // the next record must stand on a line of its own
		j, got := open(t, path)
		if diff := cmp.Diff([]string{`{"n":1}`, `{"n":3}`}, got); diff != "" {
			t.Errorf("cut at byte %d: %s", cut, diff)
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestEveryFlippedBitStopsTheStart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	write(t, path, `{"n":1}`, `{"n":2}`)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lastNewline := len(whole) - 1 // damaged, it makes a torn line
	for i := range lastNewline {
		for bit := range 8 {
			damaged := bytes.Clone(whole)
			damaged[i] ^= 1 << bit
			path := filepath.Join(t.TempDir(), "damaged")
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			j, err := journal.Open(path, func([]byte) error { return nil })
			if err == nil {
				t.Errorf("byte %d, bit %d: opened", i, bit)
				_ = j.Close()
			}
		}
	}
}

func TestOneWriter(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	j, _ := open(t, path)
	if _, err := journal.Open(path, func([]byte) error { return nil }); !errors.Is(err, journal.ErrLocked) {
		t.Errorf("second Open: %v, want ErrLocked", err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	again, _ := open(t, path)
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func TestNothingIsPromisedAfterClose(t *testing.T) {
	t.Parallel()
	j, _ := open(t, filepath.Join(t.TempDir(), "journal"))
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Append([]byte(`{}`)).Wait(); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("Append: %v, want ErrClosed", err)
	}
	if err := j.Tail().Wait(); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("Tail: %v, want ErrClosed", err)
	}
}

func TestADeviceIsNoJournal(t *testing.T) {
	t.Parallel()
	if _, err := journal.Open(os.DevNull, func([]byte) error { return nil }); err == nil {
		t.Error("opened: everything written would be lost")
	}
}

func TestConcurrentAppends(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	j, _ := open(t, path)
	var writers sync.WaitGroup
	for w := range 16 {
		writers.Go(func() {
			for n := range 50 {
				if err := j.Append(fmt.Appendf(nil, `{"w":%d,"n":%d}`, w, n)).Wait(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j, got := open(t, path)
	defer j.Close()
	if len(got) != 16*50 {
		t.Errorf("%d records, want %d", len(got), 16*50)
	}
}
