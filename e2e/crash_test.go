package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"shop.example/e2e/internal/shop"
)

// TestCrashPoints stops many orders at once, each at another step of its checkout, payment, cancellation or refund, breaks
// something, and lets go. Within a minute nothing may be in between, the money, the pieces and the order must agree, and the
// client that asks again under its key is told the truth. -v prints the table of points and faults.
//
// It is not parallel with the other tests, which would not be answered in time on a machine that runs a hundred sagas at once.
func TestCrashPoints(t *testing.T) {
	// Two shops at the same time, because most of it is waiting: one with one replica of everything, where what dies is started
	// again, and one with two, where what dies stays dead.
	var results crashTable
	t.Run("what dies comes back", func(t *testing.T) {
		t.Parallel()
		newCrashShop(t, nil, &results).run(
			fault{name: "order-service killed", strike: func(r *round) error {
				return errors.Join(r.shop.Kill("order-service", 1), r.letGo())
			}},
			fault{name: "product-service killed", strike: func(r *round) error {
				return errors.Join(r.shop.Kill("product-service", 1), r.letGo())
			}},
			fault{name: "provider silent", strike: providerSilent, unpaid: true},
			fault{name: "orders' database cut", strike: func(r *round) error { return r.cut("order-service", "orders") }},
			fault{name: "answers lost", strike: func(r *round) error { return r.loseAnswers() }},
		)
	})
	t.Run("what dies stays dead", func(t *testing.T) {
		t.Parallel()
		newCrashShop(t, map[string]int{"order-service": 2, "product-service": 2}, &results).run(
			fault{name: "order-service lost", strike: orderServiceLost},
			fault{name: "product-service lost", strike: productServiceLost},
			fault{name: "provider killed", strike: func(r *round) error {
				return errors.Join(r.shop.Kill("testpay", 1), r.letGo())
			}, unpaid: true},
			fault{name: "products' database cut", strike: func(r *round) error { return r.cut("product-service", "products") }},
			fault{name: "overtaken", strike: overtaken},
		)
	})
	t.Cleanup(func() { t.Log(results.String()) })
}

// fault is what is broken while all orders of a round are held. It lets go of them in due course.
type fault struct {
	name   string
	strike func(*round) error
	// unpaid is that it may keep every payment from beginning, and so may end all checkouts that were held before theirs.
	unpaid bool
}

// providerSilent has the provider say nothing for longer than a call of it may take, which is 4 s.
func providerSilent(r *round) error {
	if err := r.shop.Signal("testpay", 1, syscall.SIGSTOP); err != nil {
		return err
	}
	err := r.letGo()
	r.pause(6 * time.Second)
	return errors.Join(err, r.shop.Signal("testpay", 1, syscall.SIGCONT))
}

// orderServiceLost kills the replica that does everything, while another one has just become ready, and leaves it dead.
func orderServiceLost(r *round) error {
	if err := r.shop.Up(r.t.Context(), "order-service", 2); err != nil {
		return err
	}
	if err := r.shop.Lose("order-service", 1); err != nil {
		return err
	}
	r.afterwards = func() error {
		// The next round again finds one replica that all requests come to; and there is always one.
		return errors.Join(r.shop.Up(r.t.Context(), "order-service", 1), r.shop.Down(r.t.Context(), "order-service", 2))
	}
	return r.letGo()
}

func productServiceLost(r *round) error {
	if err := r.shop.Lose("product-service", 1); err != nil {
		return err
	}
	r.afterwards = func() error { return r.shop.Up(r.t.Context(), "product-service", 1) }
	return r.letGo()
}

// overtaken holds everything until others have taken it over, whose turn it is after 15 s: the time of a lease. They may all
// find something else than what they left.
func overtaken(r *round) error {
	r.pause(20 * time.Second)
	err := r.each(func(c *crashCell) error {
		if !c.anew || !c.held {
			return nil
		}
		return c.payAnew()
	})
	return errors.Join(err, r.letGo())
}

// crashShop is a shop that things happen to.
type crashShop struct {
	t      *testing.T
	shop   *shop.Shop
	points string // the folder where the processes are stopped
	staff  *shop.Client
	// receiver is somebody whom all events must reach.
	receiver *shop.Receiver
	slots    []*slot
	results  *crashTable
}

// slot is a point of a saga, with a product, and for the cart's sake a customer, of its own.
type slot struct {
	saga
	point    string
	customer *shop.Customer
	product  shop.Product
}

// crashCell is a slot in one round: a point and a fault.
type crashCell struct {
	*slot
	round *round
	key   string
	// order is the one that the request is about; empty for a checkout, until it is known.
	order shop.Order
	held  bool
	// first is the answer that the fault left, if any, and told what the client was told in the end.
	first, told *shop.Answer
	answered    chan struct{} // closed when the first is there
	// inCart is how many pieces are in the cart when all is over.
	inCart int64
	// failures say what is wrong.
	failures []string
	outcome  string
}

func (c *crashCell) fail(format string, args ...any) {
	c.failures = append(c.failures, fmt.Sprintf(format, args...))
}

func newCrashShop(t *testing.T, replicas map[string]int, results *crashTable) *crashShop {
	t.Helper()
	points := t.TempDir()
	c := &crashShop{t: t, points: points, results: results}
	c.shop = shop.StartReplicasFor(t, map[string]string{"FAILPOINTS": points, "AUDIT_EVERY": "2s", "AUDIT_SETTLE": "60s"}, replicas)
	if replicas["order-service"] > 1 {
		// All that is to be lost is to be on one replica: see orderServiceLost.
		if err := c.shop.Down(t.Context(), "order-service", 2); err != nil {
			t.Fatal(err)
		}
	}
	c.staff = c.shop.Admin(t)
	c.receiver = c.shop.NewReceiver(t)
	anybody := c.shop.NewCustomer(t)
	for _, saga := range sagas {
		for _, point := range saga.points {
			s := &slot{saga: saga, point: point, customer: anybody, product: c.shop.NewProduct(t, saga.stock(), 2500)}
			if saga.fromCart {
				s.customer = c.shop.NewCustomer(t)
			}
			c.slots = append(c.slots, s)
		}
	}
	return c
}

// run strikes each fault once, and looks at everything in the end.
func (c *crashShop) run(faults ...fault) {
	var all []*crashCell
	for _, f := range faults {
		c.t.Run(f.name, func(t *testing.T) {
			r := &round{crashShop: c, t: t, fault: f, begin: time.Now()}
			if err := r.run(); err != nil {
				t.Error(err)
			}
			all = append(all, r.cells...)
		})
	}
	c.audit(all)
	c.someGotThrough(all)
	// The shop's own auditor has had its say on all rounds but the last, whose minute is not over.
	for _, f := range c.shop.Findings(c.t, "open") {
		c.t.Errorf("an audit finds %s of %s: %s", f.Kind, f.Reference, f.Detail)
	}
	c.results.add(faults, all)
	for _, cell := range all {
		for _, failure := range cell.failures {
			c.t.Errorf("%s, held at %s: %s: %s", cell.name, cell.point, cell.round.fault.name, failure)
		}
	}
}

// audit checks everything that the shop has written down.
func (c *crashShop) audit(cells []*crashCell) {
	state, err := c.shop.Invariants().Read(c.t.Context())
	if err != nil {
		c.t.Error(err)
		return
	}
	byOrder, byProduct := map[string]*crashCell{}, map[string]*crashCell{}
	for _, cell := range cells {
		byOrder[cell.order.ID], byProduct[cell.product.ID] = cell, cell
	}
	for _, finding := range state.Findings() {
		if cell := byOrder[finding.OrderID]; finding.OrderID != "" && cell != nil {
			cell.fail("%s", finding)
			continue
		}
		if cell := byProduct[finding.ProductID]; cell != nil {
			cell.fail("%s", finding)
			continue
		}
		c.t.Errorf("of no cell: %s", finding)
	}
	for _, cell := range cells {
		cell.conclude(state)
	}
	c.onceEach(cells, state.Orders)
}

// someGotThrough checks that checkouts are not simply given up whenever anything happens before the money is held: each such
// order alone may be.
func (c *crashShop) someGotThrough(cells []*crashCell) {
	through := map[string]bool{}
	for _, cell := range cells {
		if f := cell.round.fault; cell.name == "checkout" && !f.unpaid {
			through[f.name] = through[f.name] || cell.outcome == "confirmed"
		}
	}
	for name, got := range through {
		if !got {
			c.t.Errorf("%s: no checkout got through that was held before its payment", name)
		}
	}
}

// round is one fault that strikes all slots.
type round struct {
	*crashShop
	t          *testing.T
	fault      fault
	begin      time.Time
	cells      []*crashCell
	afterwards func() error // brings back what stayed dead
}

const (
	// atOnceHeld is how many requests are on their way to their points at the same time: more would wait for the processors,
	// and be overtaken by jobs.
	atOnceHeld = 16
	// heldWithin is how long the slowest takes to its point: a call that is never answered (4 s), and then a job.
	heldWithin = 30 * time.Second
	// sameAnswer is how long a client goes on asking that is told to come again: the time for which a dead request holds its
	// key, and some more.
	sameAnswer = 30 * time.Second
)

func (r *round) run() error {
	for _, s := range r.slots {
		r.cells = append(r.cells, &crashCell{slot: s, round: r, key: "crash-" + uniqueKey()})
	}
	if err := r.each(func(c *crashCell) error { return c.setUp() }); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	prepared := time.Now()
	var asked sync.WaitGroup
	r.hold(&asked)
	held := time.Now()
	if err := r.fault.strike(r); err != nil {
		return fmt.Errorf("strike: %w", err)
	}
	struck := time.Now()
	asked.Wait()
	r.settle()
	settled := time.Now()
	if err := r.each(func(c *crashCell) error { c.askAgain(); return nil }); err != nil {
		return err
	}
	r.settle()
	if err := r.each(func(c *crashCell) error { return c.lookIntoCart() }); err != nil {
		return err
	}
	r.t.Logf("prepared in %.0f s, held in %.0f s, struck in %.0f s, settled in %.0f s, all in %.0f s",
		prepared.Sub(r.begin).Seconds(), held.Sub(prepared).Seconds(), struck.Sub(held).Seconds(), settled.Sub(struck).Seconds(), time.Since(r.begin).Seconds())
	if r.afterwards != nil {
		return r.afterwards()
	}
	return nil
}

// each does something for all cells, several at a time.
func (r *round) each(do func(*crashCell) error) error {
	var group errgroup.Group
	group.SetLimit(atOnceHeld)
	for _, c := range r.cells {
		group.Go(func() error {
			if err := do(c); err != nil {
				return fmt.Errorf("%s at %s: %w", c.name, c.point, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// hold sends all requests and waits until each has come to its point.
func (r *round) hold(asked *sync.WaitGroup) {
	_ = r.each(func(c *crashCell) error {
		if err := r.holdOne(c, asked); err != nil {
			c.fail("%v", err)
			return nil
		}
		c.held = true
		return nil
	})
}

func (r *round) holdOne(c *crashCell, asked *sync.WaitGroup) error {
	stops := c.stops()
	if err := r.arm("key-"+c.key, stops[0]); err != nil {
		return err
	}
	c.answered = make(chan struct{})
	request := *c
	asked.Go(func() {
		defer close(c.answered)
		c.first, _ = request.ask() // what the first answer is, if any, is up to the fault
	})
	for _, next := range stops[1:] {
		id, err := r.awaitHeld(c)
		if err != nil {
			return err
		}
		if err := c.between(); err != nil {
			return err
		}
		if err := r.arm("order-"+id, next+"\n"+c.key); err != nil {
			return err
		}
		if err := os.Remove(r.file("held", c)); err != nil {
			return err
		}
	}
	_, err := r.awaitHeld(c)
	return err
}

// awaitHeld waits until a cell's request is held, and returns the order that it is about.
func (r *round) awaitHeld(c *crashCell) (string, error) {
	deadline := time.After(heldWithin)
	for {
		if id, err := os.ReadFile(r.file("held", c)); err == nil {
			return string(id), nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-deadline:
			return "", fmt.Errorf("it never came to that point; the answer: %v", c.first)
		}
	}
}

func (r *round) file(kind string, c *crashCell) string {
	return filepath.Join(r.points, kind+"-"+c.key)
}

// arm makes a file that is never seen half written.
func (r *round) arm(name, content string) error {
	fresh := filepath.Join(r.points, name+".new")
	if err := os.WriteFile(fresh, []byte(content), 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, filepath.Join(r.points, name))
}

// letGo lets go of all that is held, in processes that live.
func (r *round) letGo() error {
	var errs []error
	for _, c := range r.cells {
		if c.held {
			errs = append(errs, os.Remove(r.file("held", c)))
		}
	}
	return errors.Join(errs...)
}

// loseAnswers lets go of all that is held, but what is asked does not arrive, or else its answer does not.
func (r *round) loseAnswers() error {
	var errs []error
	for _, c := range r.cells {
		if c.held {
			errs = append(errs, os.Rename(r.file("held", c), r.file("lost", c)))
		}
	}
	return errors.Join(errs...)
}

// cut cuts a service off its database: before what is held goes on, and again while it does.
func (r *round) cut(service, database string) error {
	n, err := r.shop.CutConnections(r.t.Context(), service, database)
	if err == nil && n == 0 {
		err = fmt.Errorf("%s has no connection to cut", service)
	}
	err = errors.Join(err, r.letGo())
	for range 3 {
		r.pause(50 * time.Millisecond)
		_, again := r.shop.CutConnections(r.t.Context(), service, database)
		err = errors.Join(err, again)
	}
	return err
}

// pause is a part of a fault: how long it lasts.
func (r *round) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-r.t.Context().Done():
	}
}

// settleWithin is the promise: nothing is in between for longer, once what it depends on is back.
const settleWithin = time.Minute

// settle waits until nothing is in between.
func (r *round) settle() {
	begin := time.Now()
	for {
		left, err := r.shop.Invariants().InBetween(r.t.Context())
		if err == nil && len(left) == 0 {
			return
		}
		if time.Since(begin) > settleWithin {
			for _, finding := range left {
				err = errors.Join(err, fmt.Errorf("after %s still %s", settleWithin, finding))
			}
			r.t.Error(err)
			return
		}
		r.pause(200 * time.Millisecond)
	}
}

// crashTable is what became of each point under each fault.
type crashTable struct {
	mu     sync.Mutex
	faults []string
	rows   []string
	cells  map[[2]string]string
}

func (t *crashTable) add(faults []fault, cells []*crashCell) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cells == nil {
		t.cells = map[[2]string]string{}
		for _, saga := range sagas {
			for _, point := range saga.points {
				t.rows = append(t.rows, saga.name+": "+point)
			}
		}
	}
	for _, f := range faults {
		t.faults = append(t.faults, f.name)
	}
	for _, c := range cells {
		text := c.outcome
		if len(c.failures) > 0 {
			text = "RED " + text
		}
		t.cells[[2]string{c.name + ": " + c.point, c.round.fault.name}] = text
	}
}

func (t *crashTable) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%d points × %d faults: what became of the order\n%-42s", len(t.rows), len(t.faults), "held at")
	for _, f := range t.faults {
		fmt.Fprintf(&b, " | %-*s", len(f), f)
	}
	for _, row := range t.rows {
		fmt.Fprintf(&b, "\n%-42s", row)
		for _, f := range t.faults {
			fmt.Fprintf(&b, " | %-*s", len(f), t.cells[[2]string{row, f}])
		}
	}
	return b.String()
}
