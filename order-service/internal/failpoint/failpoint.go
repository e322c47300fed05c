// Package failpoint stops what is done for chosen orders at chosen points, for tests that kill what runs meanwhile. A point is
// the border of a call through a port of the use cases, since all that is done for an order is such calls: the use cases know
// nothing of it. Only programs that are built with the tag failpoints hold this package.
//
// A folder is where a test and the processes meet, so that they may be several and may die. A point fires once, wherever it is
// reached first:
//
//	key-<key>     made by the test: its content is the point at which to stop what is done under an Idempotency-Key
//	order-<id>    renamed from that when an order is known for the key, with the key as its second line
//	held-<key>    renamed from that when the point is reached: its content is the order's id. It is held until the test
//	              removes the file: then it goes on; or renames it to lost-<key>: then the call fails, and if it was made, its
//	              answer is lost
package failpoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
)

const (
	// lookEvery is how soon a held call notices that it may go on.
	lookEvery = 10 * time.Millisecond
	// holdAtMost ends what a test has forgotten: it is more than any test holds.
	holdAtMost = 2 * time.Minute
)

// errLost stands for the error of a call whose request or answer got lost on the way.
var errLost = apperr.DependencyUnavailable(errors.New("lost on the way, by a failpoint"))

// Points are those of one process.
type Points struct {
	folder string

	mu    sync.Mutex
	calls map[string]int // how often an armed order has made a call, by both
}

// In returns the points of a folder.
func In(folder string) *Points { return &Points{folder: folder, calls: map[string]int{}} }

func (p *Points) file(kind, name string) string { return filepath.Join(p.folder, kind+"-"+name) }

// claim finds out whether something is to stop under a key, now that the order is known.
func (p *Points) claim(key string, order uuid.UUID) {
	if key != filepath.Base(key) {
		return // no test makes such keys, and no file can have such a name
	}
	point, err := os.ReadFile(p.file("key", key))
	if err != nil {
		return
	}
	armed := fmt.Sprintf("%s\n%s", strings.TrimSpace(string(point)), key)
	if err := write(p.file("order", order.String()), armed); err != nil {
		panic(err) // the test would wait for nothing
	}
	if err := os.Remove(p.file("key", key)); err != nil {
		panic(err)
	}
}

// count numbers the calls of armed orders: one that is made several times for an order is several points.
func (p *Points) count(order uuid.UUID, call string) string {
	if _, err := os.Stat(p.file("order", order.String())); err != nil {
		return call
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls[order.String()+call]++
	return fmt.Sprintf("%s/%d", call, p.calls[order.String()+call])
}

// pass holds the caller if it has come to the point at which its order is to stop. It returns errLost if the call is to fail.
func (p *Points) pass(order uuid.UUID, call, place string) error {
	armed, _ := os.ReadFile(p.file("order", order.String())) // there is none for most orders
	point, key, _ := strings.Cut(string(armed), "\n")
	if point != call+" "+place {
		return nil
	}
	held := p.file("held", key)
	mine := p.file("order", order.String()+"."+uuid.NewString())
	if lost := os.Rename(p.file("order", order.String()), mine); lost != nil {
		return nil //nolint:nilerr // of several who reach it, one gets it
	}
	if err := write(mine, order.String()); err != nil {
		panic(err)
	}
	if err := os.Rename(mine, held); err != nil {
		panic(err)
	}
	p.await(held)
	if os.Remove(p.file("lost", key)) == nil {
		return errLost
	}
	return nil
}

// await waits until a file is gone. The call's own context has no part in it: a process that hangs does not heed it either.
func (p *Points) await(held string) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for begin := time.Now(); time.Since(begin) < holdAtMost; <-ticker.C {
		if _, err := os.Stat(held); err != nil {
			return
		}
	}
}

// write makes a file that is never seen half written.
func write(path, content string) error {
	fresh := path + ".new"
	if err := os.WriteFile(fresh, []byte(content), 0o600); err != nil { //nolint:gosec // the name holds an id, or a key without a separator
		return err
	}
	return os.Rename(fresh, path)
}

// through makes one call for an order, with a point before and one after it.
func through[T any](p *Points, order uuid.UUID, call string, do func() (T, error)) (T, error) {
	var none T
	call = p.count(order, call)
	if err := p.pass(order, call, "before"); err != nil {
		return none, err
	}
	answer, err := do()
	if lost := p.pass(order, call, "after"); lost != nil {
		return none, lost
	}
	return answer, err
}

func throughDo(p *Points, order uuid.UUID, call string, do func() error) error {
	_, err := through(p, order, call, func() (struct{}, error) { return struct{}{}, do() })
	return err
}

// orderOf is the order that a key at the payment provider belongs to: it begins with its id.
func orderOf(paymentKey string) uuid.UUID {
	id, _, _ := strings.Cut(paymentKey, ":")
	order, err := uuid.Parse(id)
	if err != nil {
		return uuid.Nil
	}
	return order
}
