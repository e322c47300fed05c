package importer

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// shop takes lines as the real one does: in batches of ten, those that say "bad" failing alone. It fails with trouble before a
// batch, by their number, once.
type shop struct {
	mu      sync.Mutex
	good    string // the token that it takes
	batches int
	trouble map[int]string // a code, or "break"
	lines   []string       // that were kept
	parts   int
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts++
	out := json.NewEncoder(w)
	if r.Header.Get("Authorization") != "Bearer "+s.good {
		w.WriteHeader(http.StatusUnauthorized)
		_ = out.Encode(map[string]string{"code": "unauthenticated", "detail": "No."})
		return
	}
	var (
		batch  []Result
		texts  []string
		number int64
	)
	keep := func() bool {
		s.batches++
		code := s.trouble[s.batches]
		delete(s.trouble, s.batches)
		if code == "break" {
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		if code == "unauthenticated" {
			s.good = "second"
		}
		for n, result := range batch {
			switch {
			case code != "":
				result.Status, result.Code = "failed", code
			case strings.Contains(texts[n], "bad"):
				result.Status, result.Code, result.Detail = "failed", "validation_failed", texts[n]
			default:
				result.Status = "created"
				s.lines = append(s.lines, texts[n])
			}
			_ = out.Encode(result)
		}
		if code != "" {
			_ = out.Encode(map[string]any{"summary": map[string]any{"stopped": map[string]any{"line": batch[0].Line, "code": code, "detail": "Stopped."}}})
		}
		batch, texts = nil, nil
		return code == ""
	}
	_ = http.NewResponseController(w).EnableFullDuplex()
	for in := bufio.NewScanner(r.Body); in.Scan(); {
		number++
		if text := strings.TrimSpace(in.Text()); text != "" {
			batch, texts = append(batch, Result{Line: number}), append(texts, text)
		}
		if len(batch) == 10 && !keep() {
			return
		}
	}
	if len(batch) > 0 && !keep() {
		return
	}
	_ = out.Encode(map[string]any{"summary": map[string]any{}})
}

// run imports a file into the shop.
func (s *shop) run(t *testing.T, file []byte) (counts Counts, failed []Result, pauses []time.Duration, err error) {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	i := &Importer{
		URL: server.URL, Failed: func(r Result) { failed = append(failed, r) },
		Token: func(_ context.Context, renew bool) (string, error) {
			if renew {
				return "second", nil
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.good, nil
		},
		pause: func(_ context.Context, d time.Duration) error { pauses = append(pauses, d); return nil },
	}
	counts, err = i.Import(t.Context(), bytes.NewReader(file), int64(len(file)))
	return counts, failed, pauses, err
}

// file has a line for each number, with an empty one after each seventh and a bad one in place of each twentieth.
func file(lines int) (content []byte, good, bad int64) {
	var b bytes.Buffer
	for n := range lines {
		switch {
		case n%20 == 19:
			fmt.Fprintf(&b, "bad %d\n", n)
			bad++
		default:
			fmt.Fprintf(&b, "good %d\r\n", n)
			good++
		}
		if n%7 == 0 {
			b.WriteString("\n")
		}
	}
	return bytes.TrimRight(b.Bytes(), "\r\n"), good, bad
}

func TestImport(t *testing.T) {
	t.Parallel()
	content, good, bad := file(205)
	for name, trouble := range map[string]map[int]string{
		"smoothly":             {},
		"at once":              {1: "dependency_unavailable"},
		"in the middle":        {3: "dependency_unavailable", 4: "dependency_unavailable", 12: "deadline_exceeded"},
		"a broken connection":  {2: "break", 7: "break"},
		"an expired token":     {5: "unauthenticated"},
		"one after the other":  {2: "break", 3: "internal", 4: "dependency_unavailable", 9: "unauthenticated", 11: "break"},
		"in the last batch":    {21: "dependency_unavailable"},
		"seven times in a row": {4: "break", 5: "break", 6: "break", 7: "break", 8: "break", 9: "break", 10: "break"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &shop{good: "first", trouble: trouble}
			counts, failed, _, err := s.run(t, content)
			if err != nil {
				t.Fatal(err)
			}
			if want := (Counts{Created: good, Failed: bad, Bytes: int64(len(content))}); counts != want {
				t.Errorf("got %+v, want %+v", counts, want)
			}
			all := strings.Split(string(content), "\n")
			for _, r := range failed {
				if strings.TrimSpace(all[r.Line-1]) != r.Detail {
					t.Errorf("line %d is %q, but failed as %q", r.Line, all[r.Line-1], r.Detail)
				}
			}
			if len(failed) != int(bad) {
				t.Errorf("%d failures are told, want %d", len(failed), bad)
			}
			var wanted []string
			for _, text := range all {
				if strings.HasPrefix(text, "good") {
					wanted = append(wanted, strings.TrimSpace(text))
				}
			}
			if diff := cmp.Diff(wanted, s.lines); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestImportGivesUp(t *testing.T) {
	t.Parallel()
	content, _, _ := file(100)
	always := map[int]string{}
	for n := range 100 {
		always[n] = "dependency_unavailable"
	}
	delete(always, 1)
	s := &shop{good: "first", trouble: always}
	counts, _, pauses, err := s.run(t, content)
	var p *problem
	if !errors.As(err, &p) || p.Code != "dependency_unavailable" || counts.Created != 10 {
		t.Errorf("%+v, %v", counts, err)
	}
	var want []time.Duration
	for _, seconds := range []int{1, 2, 4, 8, 16, 30, 30, 30} {
		want = append(want, time.Duration(seconds)*time.Second)
	}
	if diff := cmp.Diff(want, pauses); diff != "" {
		t.Error(diff)
	}
	// What can't get better is not tried again: who is not let in stays out.
	s = &shop{good: "another"}
	server := httptest.NewServer(s)
	defer server.Close()
	i := &Importer{URL: server.URL, Token: func(context.Context, bool) (string, error) { return "expired", nil }}
	if _, err := i.Import(t.Context(), bytes.NewReader(content), int64(len(content))); !errors.As(err, &p) || p.Code != "unauthenticated" || s.parts != 2 {
		t.Errorf("after %d requests: %v", s.parts, err)
	}
}

// TestLargeFiles: more than fits into a request goes in parts, each of whole lines.
func TestLargeFiles(t *testing.T) {
	t.Parallel()
	line := "good " + strings.Repeat("x", 40_000) + "\n"
	n := 2*partSize/len(line) + 10
	s := &shop{good: "first"}
	counts, _, _, err := s.run(t, []byte(strings.Repeat(line, n)))
	if err != nil || counts.Created != int64(n) || counts.Bytes != int64(n*len(line)) || s.parts != 3 {
		t.Errorf("%+v of %d lines in %d parts, %v", counts, n, s.parts, err)
	}
	for _, text := range s.lines {
		if text != strings.TrimSpace(line) {
			t.Fatal("a line was cut in two")
		}
	}
	// A part may end exactly where a line does.
	c := &cursor{file: strings.NewReader(strings.Repeat("12345678901234\r\n", 3*partSize/16)), size: 3 * partSize}
	if end, err := c.part(); end != partSize || err != nil {
		t.Errorf("the first part ends at %d, %v", end, err)
	}
}

func TestBar(t *testing.T) {
	t.Parallel()
	b := Bar{Size: 1000}
	got := b.text(Counts{Created: 100, Updated: 50, Failed: 1, Bytes: 250}, 10*time.Second)
	if want := "[######..................]  25 %  151 lines, 15/s, 30s left"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, c := range []Counts{{}, {Created: 99_999_999, Bytes: 1000}} {
		if text := b.text(c, 100*time.Hour); len(text) > 79 {
			t.Errorf("%q is too long", text)
		}
	}
}
