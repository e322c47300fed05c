package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/riverqueue/river"

	"shop.example/order-service/internal/job"
)

// auditTimeout bounds one run of an audit, which stops by itself after 8 s and the three pages that it is at, each of which takes
// at most 5 s at a provider that hangs.
const auditTimeout = 25 * time.Second

// Auditor audits; see usecase.Audit.
type Auditor interface {
	Run(ctx context.Context) (again time.Duration, err error)
}

// Audit has an auditor run at once and then every so often, one at a time on all replicas.
func Audit(auditor Auditor, every time.Duration) More {
	return func(c *river.Config) {
		river.AddWorker(c.Workers, &auditWorker{auditor: auditor})
		c.PeriodicJobs = append(c.PeriodicJobs, river.NewPeriodicJob(river.PeriodicInterval(every),
			func() (river.JobArgs, *river.InsertOpts) { return job.Audit{}, nil }, &river.PeriodicJobOpts{RunOnStart: true}))
	}
}

type auditWorker struct {
	river.WorkerDefaults[job.Audit]
	auditor Auditor
}

func (w *auditWorker) Work(ctx context.Context, _ *river.Job[job.Audit]) error {
	again, err := w.auditor.Run(ctx)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return unlessAgain(again)
}

func (w *auditWorker) Timeout(*river.Job[job.Audit]) time.Duration { return auditTimeout }
