// Testsum runs the tests of several modules, one module after the other, and ends with one line that says how many
// tests passed and failed over all of them.
//
//	testsum [GO_TEST_FLAG ...] MODULE_DIR ... [GO_TEST_FLAG ... MODULE_DIR ...]
//
// A flag counts for all modules after it; of one that is there twice, the last (write -flag=value).
// A passing test is silent, unless it is slow; a failing one shows its output, and once more, where its package ends, what it
// complained of: the logs of five services in between are long. The exit code is 0 only if every test of every
// module passed and at least one ran.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
)

func main() {
	var (
		all   summary
		flags []string
	)
	for _, arg := range os.Args[1:] {
		if strings.HasPrefix(arg, "-") {
			flags = append(flags, arg)
			continue
		}
		one, err := testModule(arg, flags)
		if err != nil {
			fmt.Fprintf(os.Stderr, "testsum: %s: %v\n", arg, err)
			os.Exit(2)
		}
		all.add(one)
	}
	fmt.Println(all)
	if all.failed > 0 || all.passed == 0 {
		os.Exit(1)
	}
}

func testModule(dir string, flags []string) (summary, error) {
	start := time.Now()
	cmd := exec.Command("go", slices.Concat([]string{"test", "-json"}, flags, []string{"./..."})...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return summary{}, err
	}
	if err := cmd.Start(); err != nil {
		return summary{}, err
	}
	sum, err := summarize(stdout, os.Stdout)
	if err != nil {
		return sum, err
	}
	// A non-zero exit that no event explained (a module that does not load, for one) is a failure of its own.
	if err := cmd.Wait(); err != nil && sum.failed == 0 {
		fmt.Printf("FAIL\t%s\t%v\n", dir, err)
		sum.failed++
	}
	verdict := "ok  "
	if sum.failed > 0 {
		verdict = "FAIL"
	}
	fmt.Printf("%s\t%s\t%.1fs\t%s\n\n", verdict, dir, time.Since(start).Seconds(), sum)
	return sum, nil
}

// summary counts the tests that stand on their own: subtests belong to the test that runs them, so that a table of
// three hundred cases does not outweigh a flow through the whole shop.
type summary struct{ passed, failed, skipped int }

func (s *summary) add(o summary) {
	s.passed += o.passed
	s.failed += o.failed
	s.skipped += o.skipped
}

func (s summary) String() string {
	line := fmt.Sprintf("%d passed, %d failed", s.passed, s.failed)
	if s.skipped > 0 {
		line += fmt.Sprintf(", %d skipped", s.skipped)
	}
	return line
}

// event is what `go test -json` writes, one a line; see `go doc test2json` and, for build-output, `go help buildjson`.
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Output     string
	Elapsed    float64
	// FailedBuild names the package that did not compile, on the fail event of a package whose tests could not run.
	FailedBuild string
}

// longestLine bounds one event. go test splits a test's output at line ends, so this much is one line of output, and far
// more than a diff of two large values prints.
const longestLine = 16 << 20

// slow is how many seconds of a test are worth a line: where the time of a run of twenty minutes goes is then seen in it.
const slow = 30

// complaint is the first line of what a test says by t.Error and its like; a helper's is named by the line that called it.
var complaint = regexp.MustCompile(`^ *\w+_test\.go:\d+: `)

// A package's complaints are at most so many, of so many bytes each: enough to know where to look, little enough to be read.
const (
	mostComplaints   = 20
	longestComplaint = 500
)

// summarize reads the events of one `go test -json` and writes to w what a person wants to see: a line per package,
// and the output of what failed.
func summarize(events io.Reader, w io.Writer) (summary, error) {
	type test struct{ pkg, name string }
	var (
		sum    summary
		output = map[test]*strings.Builder{} // of the top-level tests still running, their subtests' included
		failed = map[string]int{}            // failed tests by package
		said   = map[test][]string{}         // the complaints of the tests and subtests still running
		why    = map[string][]string{}       // and of those that failed, by package
	)
	lines := bufio.NewScanner(events)
	lines.Buffer(nil, longestLine)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(w, lines.Text()) // not an event: go's own complaint
		}
		root, _, isSub := strings.Cut(e.Test, "/")
		key := test{e.Package, root}
		switch e.Action {
		case "build-output":
			fmt.Fprint(w, e.Output)
		case "output":
			if strings.HasPrefix(e.Output, "=== ") {
				break // which test ran, paused and went on: the lines after it say it again
			}
			if output[key] == nil {
				output[key] = &strings.Builder{}
			}
			output[key].WriteString(e.Output)
			if complaint.MatchString(e.Output) {
				itself := test{e.Package, e.Test}
				said[itself] = append(said[itself], e.Output)
			}
		case "pass", "fail", "skip":
			itself := test{e.Package, e.Test}
			if e.Action == "fail" {
				for _, c := range said[itself] {
					c = strings.TrimSpace(c)
					why[e.Package] = append(why[e.Package], fmt.Sprintf("why \t%s\t%s\n", e.Test, c[:min(len(c), longestComplaint)]))
				}
			}
			delete(said, itself)
			if isSub {
				break
			}
			text := ""
			if output[key] != nil {
				text = output[key].String()
				delete(output, key)
			}
			if e.Test != "" {
				if e.Elapsed >= slow {
					fmt.Fprintf(w, "slow\t%s\t%.1fs\n", e.Test, e.Elapsed)
				}
				switch e.Action {
				case "pass":
					sum.passed++
				case "skip":
					sum.skipped++
				case "fail":
					sum.failed++
					failed[e.Package]++
					fmt.Fprint(w, text)
				}
				break
			}
			switch {
			case e.Action == "fail" && failed[e.Package] == 0:
				// No test is to blame: the package did not build, its TestMain failed, or it panicked or timed out.
				sum.failed++
				for k, o := range output {
					if k.pkg == e.Package {
						fmt.Fprint(w, o.String())
						delete(output, k)
					}
				}
				fmt.Fprint(w, text)
			case e.Action == "fail":
				for _, line := range why[e.Package][:min(len(why[e.Package]), mostComplaints)] {
					fmt.Fprint(w, line)
				}
				fmt.Fprintf(w, "FAIL\t%s\t%.1fs\n", e.Package, e.Elapsed)
			case e.Action == "pass":
				fmt.Fprintf(w, "ok  \t%s\t%.1fs\n", e.Package, e.Elapsed)
			}
		}
	}
	return sum, lines.Err()
}
