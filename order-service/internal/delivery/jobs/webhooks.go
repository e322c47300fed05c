package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"shop.example/order-service/internal/job"
)

const (
	// webhookWorkers is how many deliveries are under way at once. They wait for others, and hold no database
	// connection while they do; those that read and write meanwhile are fewer (see sendingConns of the program).
	webhookWorkers = 50
	// laneWidth is how many of them may go to one endpoint: 8 that take 50 ms each are 160 a second, and as many that hang for
	// all their 10 s leave 42 workers to the others.
	laneWidth = 8
	// laneWait is how long a delivery waits for its turn in the lane of an endpoint that is quick; slow is one that has just
	// taken longer, and whose deliveries do not wait on a worker.
	laneWait = time.Second
	// laneBack and laneSpread are when a delivery that had no turn comes back: within 5 to 15 s, so that those that wait for
	// one endpoint do not come all at once.
	laneBack, laneSpread = 5 * time.Second, 10 * time.Second
	// laneAtMost bounds the spread. Those that wait are spread over as many turns as they are, by what the last attempt took, for
	// each look costs three writes of its job; but over 5 minutes at the most, which is what an endpoint that is well again after
	// it hung waits for the last of them.
	laneAtMost = 5 * time.Minute
	// laneTurn is how often a place gets free in the lane of an endpoint that hangs for all the 10 s of an attempt.
	laneTurn = 10 * time.Second / laneWidth
	// eventsLive is how long events and their deliveries can be looked at and sent again. It is ten times the retries.
	eventsLive = 30 * 24 * time.Hour
	// lostAfter is how long a delivery is overdue before its job is looked for. That is there as long as it is not done, but for
	// one case: a replica of a release from before webhooks discards it when it finds that its worker died. A second job of one
	// that is only late would do no harm but that the event may come twice.
	lostAfter = 5 * time.Minute
)

// Deliverer sends events; see usecase.Deliverer.
type Deliverer interface {
	Deliver(ctx context.Context, deliveryID uuid.UUID, round int) (again time.Duration, err error)
}

// EventSweeper puts in order what is kept of events.
type EventSweeper interface {
	// SweepEvents forgets old events, at most limit, and returns how many they were.
	SweepEvents(ctx context.Context, before time.Time, limit int) (int64, error)
	// PlanLost plans anew what has been due since before a time and will not be sent, at most limit, and returns how many.
	PlanLost(ctx context.Context, before time.Time, limit int) (int64, error)
}

// Webhooks has the jobs of outbound webhooks worked too, in a queue of their own: no receiver keeps an order waiting.
func Webhooks(deliverer Deliverer, sweeper EventSweeper, log *slog.Logger) More {
	return func(c *river.Config) {
		river.AddWorker(c.Workers, &deliverWorker{deliverer: deliverer, lanes: newLanes()})
		river.AddWorker(c.Workers, &sweepEventsWorker{sweeper: sweeper, log: log})
		c.Queues[job.WebhookQueue] = river.QueueConfig{MaxWorkers: webhookWorkers}
		c.PeriodicJobs = append(c.PeriodicJobs, river.NewPeriodicJob(river.PeriodicInterval(sweepEvery),
			func() (river.JobArgs, *river.InsertOpts) { return job.SweepEvents{}, nil }, &river.PeriodicJobOpts{RunOnStart: true}))
	}
}

type deliverWorker struct {
	river.WorkerDefaults[job.DeliverWebhook]
	deliverer Deliverer
	lanes     *lanes
}

func (w *deliverWorker) Work(ctx context.Context, j *river.Job[job.DeliverWebhook]) error {
	leave, back := w.lanes.enter(ctx, j.Args.EndpointID)
	if leave == nil {
		return river.JobSnooze(back)
	}
	defer leave()
	again, err := w.deliverer.Deliver(ctx, j.Args.DeliveryID, j.Args.Round)
	if err != nil {
		return fmt.Errorf("deliver %s: %w", j.Args.DeliveryID, err)
	}
	return unlessAgain(again)
}

func (w *deliverWorker) NextRetry(j *river.Job[job.DeliverWebhook]) time.Time {
	return nextRetry(j.JobRow)
}

// lanes bound how many deliveries are under way to each endpoint.
type lanes struct {
	mu  sync.Mutex
	all map[uuid.UUID]*lane
}

// lane is the way to an endpoint. It is there as long as somebody is in it or waits for it, or it is slow.
type lane struct {
	slots chan struct{}
	users int
	// took is what the last attempt took, if the lane is slow: if that was longer than laneWait; else 0.
	took time.Duration
	// turnedAway is how many had no turn since there were places enough, and lastTurnedAway when the last of them had none.
	turnedAway     int
	lastTurnedAway time.Time
}

func newLanes() *lanes { return &lanes{all: make(map[uuid.UUID]*lane)} }

// enter takes a place on the way to an endpoint, and returns what gives it back. If there is none, within laneWait, that is nil,
// and back is when to come again.
func (l *lanes) enter(ctx context.Context, endpointID uuid.UUID) (leave func(), back time.Duration) {
	way, slow := l.join(endpointID)
	took := func() (func(), time.Duration) {
		l.relax(way)
		began := time.Now()
		return func() {
			<-way.slots
			l.part(endpointID, way, func() {
				if way.took = time.Since(began); way.took <= laneWait {
					way.took = 0
				}
			})
		}, 0
	}
	select {
	case way.slots <- struct{}{}:
		return took()
	default:
	}
	if !slow {
		timer := time.NewTimer(laneWait)
		defer timer.Stop()
		select {
		case way.slots <- struct{}{}:
			return took()
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	l.part(endpointID, way, func() {
		way.took = max(way.took, laneWait)
		way.turnedAway++
		way.lastTurnedAway = time.Now()
		spread := min(max(laneSpread, time.Duration(way.turnedAway)*way.took/laneWidth), laneAtMost)
		back = laneBack + rand.N(spread) //nolint:gosec // it spreads load, and is no secret
	})
	return nil, back
}

// relax has those who are turned away from now on come back soon, if who has just taken a place leaves another one free and
// nobody wanted that for a while: attempts that began together and hang end together, and their places are taken in no time.
func (l *lanes) relax(way *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(way.slots) < laneWidth && time.Since(way.lastTurnedAway) > laneTurn {
		way.turnedAway = 0
	}
}

func (l *lanes) join(endpointID uuid.UUID) (way *lane, slow bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	way, ok := l.all[endpointID]
	if !ok {
		way = &lane{slots: make(chan struct{}, laneWidth)}
		l.all[endpointID] = way
	}
	way.users++
	return way, way.took > 0
}

func (l *lanes) part(endpointID uuid.UUID, way *lane, learn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	learn()
	if way.users--; way.users == 0 && way.took == 0 {
		delete(l.all, endpointID)
	}
}

type sweepEventsWorker struct {
	river.WorkerDefaults[job.SweepEvents]
	sweeper EventSweeper
	log     *slog.Logger
}

func (w *sweepEventsWorker) Work(ctx context.Context, _ *river.Job[job.SweepEvents]) error {
	now := time.Now()
	lost, err := inBatches(func() (int64, error) { return w.sweeper.PlanLost(ctx, now.Add(-lostAfter), sweepBatch) })
	if lost > 0 {
		w.log.WarnContext(ctx, "deliveries without a job planned anew", "count", lost)
	}
	if err != nil {
		return fmt.Errorf("plan lost deliveries: %w", err)
	}
	old, err := inBatches(func() (int64, error) { return w.sweeper.SweepEvents(ctx, now.Add(-eventsLive), sweepBatch) })
	if old > 0 {
		w.log.InfoContext(ctx, "old events forgotten", "count", old)
	}
	return err
}

// inBatches does something until there is less than a batch of it, and returns how much there was.
func inBatches(does func() (int64, error)) (total int64, err error) {
	for {
		n, err := does()
		total += n
		if err != nil || n < sweepBatch {
			return total, err
		}
	}
}
