package main

import (
	"strings"
	"testing"
)

func TestSummarize(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		events  string
		want    summary
		shows   []string
		silence []string
	}{
		"passing tests are counted and silent, subtests belong to their test": {
			events: `{"Action":"output","Package":"p","Test":"TestA/x","Output":"chatter\n"}
{"Action":"pass","Package":"p","Test":"TestA/x"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p","Elapsed":1.5}
`,
			want:    summary{passed: 1, skipped: 1},
			shows:   []string{"ok  \tp\t1.5s"},
			silence: []string{"chatter"},
		},
		"a slow test says so": {
			events: `{"Action":"pass","Package":"p","Test":"TestA","Elapsed":29.9}
{"Action":"pass","Package":"p","Test":"TestB","Elapsed":30}
`,
			want:    summary{passed: 2},
			shows:   []string{"slow\tTestB\t30.0s"},
			silence: []string{"TestA"},
		},
		"a failing test shows its output": {
			events: `{"Action":"output","Package":"p","Test":"TestA/x","Output":"=== RUN   TestA/x\n"}
{"Action":"output","Package":"p","Test":"TestA/x","Output":"want 1, got 2\n"}
{"Action":"fail","Package":"p","Test":"TestA/x"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestB"}
{"Action":"fail","Package":"p","Elapsed":0.1}
`,
			want:    summary{passed: 1, failed: 1},
			shows:   []string{"want 1, got 2", "FAIL\tp"},
			silence: []string{"==="},
		},
		"what failing tests complained of is said once more at the end of their package": {
			events: `{"Action":"output","Package":"p","Test":"TestA/x","Output":"    a_test.go:7: want 1, got 2\n"}
{"Action":"output","Package":"p","Test":"TestA/x","Output":"    shop.go:9: a thousand lines of log\n"}
{"Action":"output","Package":"p","Test":"TestA/y","Output":"    a_test.go:8: only a remark\n"}
{"Action":"fail","Package":"p","Test":"TestA/x"}
{"Action":"pass","Package":"p","Test":"TestA/y"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p","Elapsed":0.1}
`,
			want:    summary{failed: 1},
			shows:   []string{"a thousand lines of log", "why \tTestA/x\ta_test.go:7: want 1, got 2\nFAIL\tp"},
			silence: []string{"why \tTestA/y", "why \tTestA/x\tshop.go"},
		},
		"a package that does not build is a failure": {
			events: `{"Action":"build-output","ImportPath":"p","Output":"p.go:1: syntax error\n"}
{"Action":"fail","Package":"p","Elapsed":0,"FailedBuild":"p"}
`,
			want:  summary{failed: 1},
			shows: []string{"syntax error"},
		},
		"a panic outside every test is a failure and shows what was running": {
			events: `{"Action":"output","Package":"p","Test":"TestA","Output":"panic: boom\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\n"}
{"Action":"fail","Package":"p"}
`,
			want:  summary{failed: 1},
			shows: []string{"panic: boom", "FAIL\tp"},
		},
		"a line that is no event is passed on": {
			events: "go: updates to go.mod needed\n",
			shows:  []string{"go: updates to go.mod needed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var shown strings.Builder
			got, err := summarize(strings.NewReader(c.events), &shown)
			if err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			for _, s := range c.shows {
				if !strings.Contains(shown.String(), s) {
					t.Errorf("%q is not shown in:\n%s", s, shown.String())
				}
			}
			for _, s := range c.silence {
				if strings.Contains(shown.String(), s) {
					t.Errorf("%q is shown in:\n%s", s, shown.String())
				}
			}
		})
	}
}

func TestSummaryReadsAsAClosingLine(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]summary{
		"3 passed, 0 failed":            {passed: 3},
		"3 passed, 1 failed, 2 skipped": {passed: 3, failed: 1, skipped: 2},
	} {
		if got := s.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
