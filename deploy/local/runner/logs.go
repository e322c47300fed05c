package runner

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// maxLog is the size above which a log is set aside when its process is started: some days of use, and still quick to open.
const maxLog = 10 << 20

// openLog opens a log to append to.
func openLog(path string) (*os.File, error) {
	if err := rotate(path); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
}

// rotate makes a log that has grown large the ".1" beside it, in place of the one before: logs take at most about twice maxLog and
// what the last run wrote.
func rotate(path string) error {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxLog {
		err = os.Rename(path, path+".1")
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// logSize is a log's size, 0 if there is none.
func logSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// logTail returns the last lines that were written to a log after an offset, indented for a message.
func logTail(path string, offset int64, lines int) string {
	file, err := os.Open(path)
	if err != nil {
		return indent("(" + err.Error() + ")")
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return indent("(" + err.Error() + ")")
	}
	// 64 KiB hold the last lines of any log; a longer line is cut.
	if offset > info.Size() { // it was set aside meanwhile
		offset = 0
	}
	from := max(offset, info.Size()-64<<10)
	content, err := io.ReadAll(io.NewSectionReader(file, from, info.Size()-from))
	if err != nil {
		return indent("(" + err.Error() + ")")
	}
	if len(strings.TrimSpace(string(content))) == 0 {
		return indent(fmt.Sprintf("(nothing in %s)", path))
	}
	return indent(lastLines(string(content), lines))
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(text, "\n", "\n    ")
}
