package importer

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Bar shows how far an import is: on a terminal in a line that changes, anywhere else in a line now and then.
type Bar struct {
	Out      io.Writer
	Terminal bool
	Size     int64 // of the file

	begin, shown time.Time
}

const (
	// A line that changes four times a second is steady to the eye; lines that stay are read one after another.
	redrawEvery = 250 * time.Millisecond
	lineEvery   = 5 * time.Second
	barWidth    = 24
)

// Show draws the bar, but not too often.
func (b *Bar) Show(c Counts) {
	now := time.Now()
	if b.begin.IsZero() {
		b.begin, b.shown = now, now
	}
	every := lineEvery
	if b.Terminal {
		every = redrawEvery
	}
	if now.Sub(b.shown) < every {
		return
	}
	b.shown = now
	if b.Terminal {
		fmt.Fprint(b.Out, "\r\x1b[K"+b.text(c, now.Sub(b.begin)))
	} else {
		fmt.Fprintln(b.Out, b.text(c, now.Sub(b.begin)))
	}
}

// text is the bar as it stands after some time. It fits into 79 columns.
func (b *Bar) text(c Counts, took time.Duration) string {
	share := float64(c.Bytes) / float64(max(b.Size, 1))
	filled := int(share * barWidth)
	rate, left := float64(c.Lines())/max(took.Seconds(), 0.001), time.Duration(0)
	if share > 0 {
		left = time.Duration(float64(took) * (1 - share) / share).Round(time.Second)
	}
	return fmt.Sprintf("[%s%s] %3.0f %%  %d lines, %.0f/s, %v left", strings.Repeat("#", filled), strings.Repeat(".", barWidth-filled), share*100, c.Lines(), rate, left)
}

// Print writes a line of its own.
func (b *Bar) Print(format string, args ...any) {
	if b.Terminal {
		fmt.Fprint(b.Out, "\r\x1b[K")
	}
	fmt.Fprintf(b.Out, format+"\n", args...)
}
