// Package importer sends a file of products to a running shop: POST /api/v1/products/import, in parts, going on where it was
// interrupted.
package importer

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
)

const (
	// partSize is sent in one request: a third of what the shop takes, and less than it does in the quarter of an hour that an
	// access token is good for.
	partSize = 32 << 20
	// attempts is how often in a row something may go wrong without a line having been done in between; with the pauses, which
	// double, that is two minutes: more than a service needs to start again.
	attempts   = 8
	firstPause = time.Second
	lastPause  = 30 * time.Second
)

// Result is what became of a line.
type Result struct {
	Line   int64  `json:"line"`
	Status string `json:"status"`
	ID     string `json:"id"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Counts are the results so far.
type Counts struct {
	Created, Updated, Failed int64
	// Bytes of the file are done.
	Bytes int64
}

// Lines is how many have a result.
func (c Counts) Lines() int64 { return c.Created + c.Updated + c.Failed }

// Importer sends files. Failed and Progress may be nil.
type Importer struct {
	URL string // of the shop
	// Token returns an access token; a new one if the last is no longer taken.
	Token func(ctx context.Context, renew bool) (string, error)
	// Failed is told of each line that is not imported, Progress of each result, and Paused of each wait for a shop that can't.
	Failed   func(Result)
	Progress func(Counts)
	Paused   func(why error, pause time.Duration)

	client http.Client
	pause  func(ctx context.Context, d time.Duration) error // nil for real ones
}

// problem is why the shop refuses to go on.
type problem struct {
	Status int
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

func (p *problem) Error() string { return fmt.Sprintf("%s (%s)", p.Detail, p.Code) }

// again says whether it may work in a moment. A status of 0 is of an import that had begun.
func (p *problem) again() bool {
	return p.Status >= http.StatusInternalServerError || p.Status == http.StatusTooManyRequests || p.Code == "request_timeout" ||
		slices.Contains(ofTheShop, p.Code) && p.Code != "unauthenticated" && p.Code != "permission_denied"
}

// ofTheShop are the codes with which lines fail that nothing is wrong with.
var ofTheShop = []string{"dependency_unavailable", "deadline_exceeded", "overloaded", "internal", "unauthenticated", "permission_denied"}

// Import sends all lines of a file and returns what became of them. The error is why it ended before that; the file may be
// imported again then, with the same outcome.
func (i *Importer) Import(ctx context.Context, file io.ReaderAt, size int64) (Counts, error) {
	var (
		counts Counts
		done   = &cursor{file: file, size: size}
		tries  int
		renew  bool
	)
	for done.offset < size {
		before := done.offset
		err := i.sendPart(ctx, done, renew, &counts)
		renew = false
		if done.offset > before {
			tries = 0
		}
		if err == nil {
			continue
		}
		var p *problem
		switch {
		case ctx.Err() != nil:
			return counts, ctx.Err()
		case tries >= attempts:
			return counts, err
		case errors.As(err, &p) && p.Code == "unauthenticated" && tries == 0:
			tries, renew = 1, true
			continue
		case p != nil && !p.again():
			return counts, err
		}
		pause := min(firstPause<<tries, lastPause)
		tries++
		if i.Paused != nil {
			i.Paused(err, pause)
		}
		if err := i.wait(ctx, pause); err != nil {
			return counts, err
		}
	}
	return counts, nil
}

func (i *Importer) wait(ctx context.Context, d time.Duration) error {
	if i.pause != nil {
		return i.pause(ctx, d)
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sendPart sends lines from the cursor on, and moves it behind those that are done.
func (i *Importer) sendPart(ctx context.Context, done *cursor, renew bool, counts *Counts) error {
	ctx, cancel := context.WithCancel(ctx) // what is left of a body that nobody wants is not sent
	defer cancel()
	token, err := i.Token(ctx, renew)
	if err != nil {
		return err
	}
	end, err := done.part()
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, i.URL+"/api/v1/products/import", io.NewSectionReader(done.file, done.offset, end-done.offset))
	if err != nil {
		return err
	}
	request.ContentLength = end - done.offset
	request.Header.Set("Content-Type", "application/x-ndjson")
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Expect", "100-continue") // a refusal is read before anything is sent
	response, err := i.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return refusal(response)
	}
	return i.readResults(response.Body, done, end, counts)
}

func refusal(response *http.Response) error {
	p := &problem{Status: response.StatusCode}
	raw, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil || json.Unmarshal(raw, p) != nil || p.Code == "" {
		return &problem{Status: response.StatusCode, Code: "unexpected", Detail: "The shop answers " + response.Status + "."}
	}
	p.Status = response.StatusCode
	return p
}

// readResults reads the answer to a part, whose lines are counted from 1.
func (i *Importer) readResults(answer io.Reader, done *cursor, end int64, counts *Counts) error {
	var (
		base    = done.line
		decoder = json.NewDecoder(answer)
		// Results that may be withdrawn: what fails because the shop can't is told again when it has been tried again.
		doubtful []Result
	)
	keep := func(r Result) error {
		if err := done.advance(r.Line); err != nil {
			return err
		}
		switch r.Status {
		case "created":
			counts.Created++
		case "updated":
			counts.Updated++
		default:
			counts.Failed++
			if i.Failed != nil {
				i.Failed(r)
			}
		}
		counts.Bytes = done.offset
		if i.Progress != nil {
			i.Progress(*counts)
		}
		return nil
	}
	for {
		var next struct {
			Result
			Summary *struct {
				Stopped *struct {
					Line int64 `json:"line"`
					problem
				} `json:"stopped"`
			} `json:"summary"`
		}
		if err := decoder.Decode(&next); err != nil {
			return fmt.Errorf("the answer was broken off: %w", cmp.Or(noEOF(err), io.ErrUnexpectedEOF))
		}
		r := next.Result
		r.Line += base
		switch {
		case next.Summary == nil && (len(doubtful) > 0 || r.Status == "failed" && slices.Contains(ofTheShop, r.Code)):
			doubtful = append(doubtful, r)
		case next.Summary == nil:
			if err := keep(r); err != nil {
				return err
			}
		default:
			stopped := next.Summary.Stopped
			for _, r := range doubtful {
				if stopped == nil || r.Line < base+stopped.Line {
					if err := keep(r); err != nil {
						return err
					}
				}
			}
			if stopped == nil {
				counts.Bytes = end
				return done.advanceTo(end) // empty lines at the end have no result
			}
			return &stopped.problem
		}
	}
}

// noEOF is err unless that is io.EOF.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// cursor is a place between two lines of a file.
type cursor struct {
	file   io.ReaderAt
	size   int64
	offset int64 // behind the last line that is done
	line   int64 // its number

	reader *bufio.Reader // from offset on
}

// part is where a part that begins here ends: behind a line.
func (c *cursor) part() (int64, error) {
	end := c.offset + partSize
	if end >= c.size {
		return c.size, nil
	}
	rest := bufio.NewReader(io.NewSectionReader(c.file, end-1, c.size-end+1)) // a line may end right there
	end--
	for {
		text, err := rest.ReadSlice('\n')
		end += int64(len(text))
		if !errors.Is(err, bufio.ErrBufferFull) {
			return end, noEOF(err)
		}
	}
}

// advance moves behind a line.
func (c *cursor) advance(line int64) error {
	for c.line < line {
		if c.offset == c.size {
			return fmt.Errorf("the shop answers for line %d, which is not in the file", line)
		}
		if err := c.next(); err != nil {
			return err
		}
	}
	return nil
}

// advanceTo moves to where a part ends.
func (c *cursor) advanceTo(end int64) error {
	for c.offset < end {
		if err := c.next(); err != nil {
			return err
		}
	}
	return nil
}

func (c *cursor) next() error {
	if c.reader == nil {
		c.reader = bufio.NewReaderSize(io.NewSectionReader(c.file, 0, c.size), 64<<10)
	}
	for {
		text, err := c.reader.ReadSlice('\n')
		c.offset += int64(len(text))
		if !errors.Is(err, bufio.ErrBufferFull) {
			c.line++
			return noEOF(err)
		}
	}
}
