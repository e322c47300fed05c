// Package measure says how a shop did under load: what its customers saw, and what its processes and databases did for that.
package measure

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"
)

// Recorder collects what customers see, between Begin and End. It is safe for concurrent use.
type Recorder struct {
	mu    sync.Mutex
	on    bool
	begin time.Time
	kinds map[string]*kind
}

type kind struct {
	took     []time.Duration // of those that were answered well
	failures map[string]int
}

// NewRecorder returns a recorder that has not begun.
func NewRecorder() *Recorder { return &Recorder{} }

// Begin forgets all that was recorded.
func (r *Recorder) Begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on, r.begin, r.kinds = true, time.Now(), map[string]*kind{}
}

// Record counts a request that was just answered; failure says in few words what was wrong, "" for nothing.
func (r *Recorder) Record(name string, took time.Duration, failure string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.on {
		return
	}
	k := r.kinds[name]
	if k == nil {
		k = &kind{failures: map[string]int{}}
		r.kinds[name] = k
	}
	if failure != "" {
		k.failures[failure]++
		return
	}
	k.took = append(k.took, took)
}

// End returns what was recorded since Begin.
func (r *Recorder) End() Requests {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := Requests{Length: time.Since(r.begin)}
	for _, name := range slices.Sorted(maps.Keys(r.kinds)) {
		all.Kinds = append(all.Kinds, r.kinds[name].summary(name))
	}
	r.on, r.kinds = false, nil
	return all
}

// Requests are what customers saw in a time.
type Requests struct {
	Length time.Duration
	Kinds  []Kind // by name
}

// Kind is what customers saw of one kind of request.
type Kind struct {
	Name string
	// Done were answered well, within P50, P99 and Max.
	Done          int
	P50, P99, Max time.Duration
	Failures      []Failure // the most frequent first
}

// Failure is a way not to be answered well.
type Failure struct {
	What  string
	Count int
}

func (k *kind) summary(name string) Kind {
	slices.Sort(k.took)
	s := Kind{Name: name, Done: len(k.took), P50: percentile(k.took, 50), P99: percentile(k.took, 99), Max: percentile(k.took, 100)}
	for what, count := range k.failures {
		s.Failures = append(s.Failures, Failure{what, count})
	}
	slices.SortFunc(s.Failures, func(a, b Failure) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.What, b.What))
	})
	return s
}

// percentile is the smallest value that so many percent are not above; 0 if there are none.
func percentile(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(1, (len(sorted)*percent+99)/100)-1]
}

// Done is how many requests of a kind were answered well; of all kinds for "".
func (r Requests) Done(name string) (n int) {
	for _, k := range r.Kinds {
		if name == "" || k.Name == name {
			n += k.Done
		}
	}
	return n
}
