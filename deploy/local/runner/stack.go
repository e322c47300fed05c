package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Stack is a running shop.
type Stack struct {
	plan     *plan
	progress *progress
	begin    time.Time

	mu       sync.Mutex
	units    []*unit
	complete bool // everything has started: stack.json stands
	stopping bool
	writing  sync.Mutex // one at a time writes stack.json
}

// Gateway is the shop's URL, without a path.
func (s *Stack) Gateway() string { return s.plan.url() }

// Data is the data folder.
func (s *Stack) Data() string { return s.plan.data.path }

// Accounts are the admin and the demo customer.
func (s *Stack) Accounts() []Account {
	return []Account{
		{Role: "admin", Email: "admin@shop.example", Password: s.plan.secrets.Admin},
		{Role: "customer", Email: "customer@shop.example", Password: s.plan.secrets.Customer},
	}
}

// Describe says what runs now, as stack.json does.
func (s *Stack) Describe() Description {
	d := Description{Gateway: s.Gateway(), Accounts: s.Accounts(), Databases: s.plan.databases, Redis: s.plan.redis, Processes: []Process{}}
	units := s.all()
	slices.SortFunc(units, func(a, b *unit) int { // those of one stage started in any order
		return cmp.Or(cmp.Compare(a.stage, b.stage), strings.Compare(a.name, b.name), cmp.Compare(a.replica, b.replica))
	})
	for _, u := range units {
		d.Processes = append(d.Processes, s.describe(u, int(u.pid.Load())))
	}
	return d
}

func (s *Stack) describe(u *unit, pid int) Process {
	p := Process{Name: u.name, Replica: u.replica, PID: pid, Log: u.log}
	switch u.name {
	case postgresName:
		p.Addr = local(s.plan.postgresPort)
	case redisName:
		p.Addr = local(s.plan.redisPort)
	}
	for _, i := range s.plan.instancesOf(u.name) {
		if i.replica != u.replica {
			continue
		}
		p.GRPC, p.Admin = i.grpc, i.admin
		if i.http != "" {
			p.HTTP = "http://" + i.http
		}
		if u.name == testpay {
			p.Ledger = p.HTTP + "/v1/ledger"
		}
	}
	return p
}

// Kill ends a process as kill -9 does. The stack brings it back by itself.
func (s *Stack) Kill(name string, replica int) error {
	u, err := s.unit(name, replica)
	if err != nil {
		return err
	}
	return u.kill()
}

// Down stops a process gracefully and keeps it down until Up.
func (s *Stack) Down(ctx context.Context, name string, replica int) error {
	u, err := s.unit(name, replica)
	if err != nil {
		return err
	}
	return errors.Join(u.down(ctx), s.publish())
}

// Lose ends a process as kill -9 does and keeps it down until Up: a machine that does not come back.
func (s *Stack) Lose(name string, replica int) error {
	u, err := s.unit(name, replica)
	if err != nil {
		return err
	}
	return errors.Join(u.lose(), s.publish())
}

// Up starts a process that Down or Lose stopped, and returns when it is ready.
func (s *Stack) Up(ctx context.Context, name string, replica int) error {
	u, err := s.unit(name, replica)
	if err != nil {
		return err
	}
	return errors.Join(u.up(ctx), s.publish())
}

// Restart stops a process gracefully, starts it again and returns when it is ready.
func (s *Stack) Restart(ctx context.Context, name string, replica int) error {
	return errors.Join(s.Down(ctx, name, replica), s.Up(ctx, name, replica))
}

const (
	// stopStage bounds the stop of one stage: a service drains for at most 20 s (SHUTDOWN_TIMEOUT), and has some to close up.
	stopStage = 25 * time.Second
	// stopAll bounds the whole, for all stages one after another drain at the same time only in the worst of cases.
	stopAll = 60 * time.Second
)

// Stop stops everything in the reverse order of its start, gracefully while ctx lasts and for a minute at most, and hard then.
// Afterwards nothing runs any more. A second Stop does nothing.
func (s *Stack) Stop(ctx context.Context) error {
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		return nil
	}
	s.stopping = true
	units := slices.Clone(s.units)
	s.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, stopAll)
	defer cancel()
	go func() { // Abort is never closed while nobody is in a hurry
		select {
		case <-s.plan.options.Abort:
			cancel()
		case <-ctx.Done():
		}
	}()
	var errs []error
	for stage := lastStage; stage >= 0; stage-- {
		errs = append(errs, stopTogether(ctx, units, stage))
	}
	for _, u := range units {
		u.revs.Wait()
	}
	s.writing.Lock() // a restart may just have been published
	errs = append(errs, removeDescription(s.plan.data.at("stack.json")))
	s.writing.Unlock()
	s.plan.release()
	return errors.Join(append(errs, s.plan.data.close())...)
}

func stopTogether(ctx context.Context, units []*unit, stage int) error {
	ctx, cancel := context.WithTimeout(ctx, stopStage)
	defer cancel()
	errs := make([]error, len(units))
	var wg sync.WaitGroup
	for n, u := range units {
		if u.stage == stage {
			wg.Go(func() { errs[n] = u.down(ctx) })
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}

// publish writes stack.json anew, once everything is ready and until the stop begins.
func (s *Stack) publish() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	d := s.Describe()
	s.mu.Lock()
	stands := s.complete && !s.stopping
	s.mu.Unlock()
	if !stands {
		return nil
	}
	return writeDescription(s.plan.data.at("stack.json"), d)
}

func (s *Stack) all() []*unit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.units)
}

func (s *Stack) unit(name string, replica int) (*unit, error) {
	for _, u := range s.all() {
		if u.name == name && u.replica == replica {
			return u, nil
		}
	}
	return nil, fmt.Errorf("the stack has no %s, replica %d", name, replica)
}

// bringUp starts a process and puts it under supervision.
func (s *Stack) bringUp(ctx context.Context, u *unit) error {
	u.report = s.progress.say
	u.changed = func() {
		if err := s.publish(); err != nil {
			s.progress.say("stack.json could not be written: %v", err)
		}
	}
	s.mu.Lock()
	s.units = append(s.units, u)
	s.mu.Unlock()
	return u.up(ctx)
}
