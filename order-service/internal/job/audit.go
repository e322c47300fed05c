package job

import (
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// Audit asks for usecase.Audit.Run.
type Audit struct{}

// Kind names the job in the database: it must stay as it is.
func (Audit) Kind() string { return "audit" }

// InsertOpts makes it one at a time, whichever replica works it. One that fails is not tried again: the next one comes soon.
func (Audit) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 1, UniqueOpts: river.UniqueOpts{ByState: []rivertype.JobState{
		rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable, rivertype.JobStateRunning, rivertype.JobStateScheduled,
	}}}
}
