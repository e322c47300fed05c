package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"reflect"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/maypok86/otter/v2"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/singleflight"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"shop.example/platform/apperr"
)

const (
	// freshFor is for how long an answer of product-service serves everybody but staff. With the second for which clients
	// may keep it, a new price is seen everywhere within two. What was changed through this gateway is seen at once.
	freshFor = time.Second
	// staleFor is for how long it serves when product-service can't answer: that is a restart, or the loss of a machine.
	// Prices that are older do more harm than a shop that says it is closed. It is what clients are told too, see
	// publicCaching.
	staleFor = 5 * time.Minute
	// stalePatience is how long product-service is waited for where there is an older answer; it takes 50 ms on a bad day.
	stalePatience = 800 * time.Millisecond
	// cacheSize bounds the memory of the cache: ten thousand products, or the first pages of some hundred lists.
	cacheSize = 32 << 20
	// entrySize is what an entry takes beside its key and its text.
	entrySize = 512
)

// representation is an answer to a public read as it is sent.
type representation struct {
	json []byte
	tag  string // the ETag
}

// represent writes an answer. The tag is a digest of the whole text, since stock, current prices and product counts change
// without a new version; what has a version has it in front, so that the tag also serves If-Match.
func represent(body any, version *int64) (representation, error) {
	var text bytes.Buffer
	if err := huma.DefaultJSONFormat.Marshal(&text, body); err != nil {
		return representation{}, fmt.Errorf("write the answer: %w", err)
	}
	tag := digest(text.Bytes())
	if version != nil {
		tag = strconv.FormatInt(*version, 10) + "-" + tag
	}
	return representation{json: text.Bytes(), tag: `"` + tag + `"`}, nil
}

// digest tells versions of one resource apart: in 96 bits collisions are out of the question. It is hexadecimal so that it spells no
// words, which filters, and our own tests, would take for a leak.
func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:12])
}

// Written is a body of type T that was written already.
type Written[T any] struct{ json []byte }

// Schema is that of T.
func (Written[T]) Schema(r huma.Registry) *huma.Schema {
	t := reflect.TypeFor[T]()
	return r.Schema(t, true, huma.DefaultSchemaNamer(t, ""))
}

// MarshalJSON returns what was written.
func (w Written[T]) MarshalJSON() ([]byte, error) { return w.json, nil }

func (w Written[T]) writeTo(out io.Writer) error {
	_, err := out.Write(w.json)
	return err
}

// marshal writes a body; encoding/json would read what is written already, to check it.
func marshal(out io.Writer, body any) error {
	if written, ok := body.(interface{ writeTo(out io.Writer) error }); ok {
		return written.writeTo(out)
	}
	return huma.DefaultJSONFormat.Marshal(out, body)
}

// source is where an answer to a public read comes from.
type source string

const (
	fromService source = "miss"
	fromCache   source = "hit"
	// fromOldCache is an answer that is no longer fresh, because product-service has none.
	fromOldCache source = "stale"
)

// kept is an answer in the cache. It never changes, but for the last member.
type kept struct {
	representation
	at    time.Time // when product-service was asked for it
	epoch int64     // and in which epoch
	// restsUntil, in Unix nanoseconds, is when product-service may be asked again after it failed: until then nobody waits.
	restsUntil atomic.Int64
}

// readCache keeps the answers to public reads of the catalogue for a moment. Of many who ask for the same at once, one asks
// product-service. Where that fails, an older answer serves.
type readCache struct {
	entries *otter.Cache[string, *kept]
	flights singleflight.Group
	// epoch begins with each call through this gateway that may have changed something. Answers of an earlier one are not fresh: who
	// has just written reads it. It is one for everything, for a price is in lists of all kinds, and a shop reads a hundred times
	// for each write; of those who read the same in an epoch one asks.
	epoch atomic.Int64
	reads metric.Int64Counter
	now   func() time.Time
}

func newReadCache(now func() time.Time) (*readCache, error) {
	c := &readCache{now: now}
	var err error
	// Frequency decides who stays: a script that reads everything once pushes nothing out.
	c.entries, err = otter.New(&otter.Options[string, *kept]{
		MaximumWeight:    cacheSize,
		Weigher:          func(key string, k *kept) uint32 { return uint32(len(key) + len(k.json) + entrySize) }, //nolint:gosec // a page is some MB
		ExpiryCalculator: otter.ExpiryWriting[string, *kept](staleFor),
	})
	if err != nil {
		return nil, fmt.Errorf("set up the cache: %w", err)
	}
	meter := otel.Meter("shop.example/api-gateway/internal/httpapi")
	if c.reads, err = meter.Int64Counter("shop.gateway.cache.reads",
		metric.WithDescription("Public reads of the catalogue by where the answer came from: hit, miss (product-service) or stale.")); err != nil {
		return nil, err
	}
	_, err = meter.Int64ObservableGauge("shop.gateway.cache.size", metric.WithUnit("By"), metric.WithDescription("What the cache holds."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(int64(c.entries.WeightedSize())) //nolint:gosec // at most cacheSize
			return nil
		}))
	return c, err
}

// outdate says that something may have changed.
func (c *readCache) outdate() { c.epoch.Add(1) }

// fresh says whether an answer serves as if it were of this moment.
func (c *readCache) fresh(k *kept, now time.Time, epoch int64) bool {
	return k.epoch == epoch && now.Sub(k.at) < freshFor
}

// read returns the answer of a key, how old it is, and where it is from. load asks product-service, as nobody in particular.
// Its context ends by itself, not with the request that happened to be the first.
func (c *readCache) read(ctx context.Context, key string, load func(context.Context) (representation, error)) (representation, time.Duration, source, error) {
	answer, age, from, err := c.answer(ctx, key, load)
	if err == nil {
		c.reads.Add(ctx, 1, metric.WithAttributes(attribute.String("result", string(from))))
	}
	return answer, age, from, err
}

func (c *readCache) answer(ctx context.Context, key string, load func(context.Context) (representation, error)) (representation, time.Duration, source, error) {
	now, epoch := c.now(), c.epoch.Load()
	old, usable := c.entries.GetIfPresent(key)
	var age time.Duration
	if usable {
		age = now.Sub(old.at)
		usable = age < staleFor
	}
	switch {
	case usable && c.fresh(old, now, epoch):
		return old.representation, age, fromCache, nil
	case usable && old.epoch == epoch && now.UnixNano() < old.restsUntil.Load():
		return old.representation, age, fromOldCache, nil
	}

	flight := c.flights.DoChan(strconv.FormatInt(epoch, 10)+" "+key, func() (any, error) {
		if k, ok := c.entries.GetIfPresent(key); ok && c.fresh(k, c.now(), epoch) {
			return k, nil // it came between the look above and this flight
		}
		return c.load(ctx, key, epoch, load)
	})
	var patience <-chan time.Time
	if usable {
		timer := time.NewTimer(stalePatience)
		defer timer.Stop()
		patience = timer.C
	}
	select {
	case landed := <-flight:
		if landed.Err == nil {
			k := landed.Val.(*kept)
			return k.representation, 0, fromService, nil
		}
		if !usable || !isFailure(landed.Err) {
			return representation{}, 0, "", landed.Err
		}
	case <-patience:
	case <-ctx.Done():
		if !usable {
			return representation{}, 0, "", fmt.Errorf("wait for the catalogue: %w", ctx.Err())
		}
	}
	old.restsUntil.Store(c.now().Add(freshFor).UnixNano())
	return old.representation, age, fromOldCache, nil
}

// load asks product-service and keeps the answer. What is there no more is forgotten at once; that there is nothing is not
// kept, so that what is new is seen at once.
func (c *readCache) load(ctx context.Context, key string, epoch int64, load func(context.Context) (representation, error)) (k *kept, err error) {
	defer func() {
		// In a goroutine of the flight it would end the process.
		if reason := recover(); reason != nil {
			err = fmt.Errorf("panic: %v\n%s", reason, debug.Stack())
		}
	}()
	// Of the request there is its trace and its id, and nothing that says who asks.
	detached := trace.ContextWithSpan(context.Background(), trace.SpanFromContext(ctx))
	detached, cancel := context.WithTimeout(baggage.ContextWithBaggage(detached, baggage.FromContext(ctx)), requestTimeout)
	defer cancel()
	k = &kept{at: c.now(), epoch: epoch}
	if k.representation, err = load(detached); err == nil {
		c.entries.Set(key, k)
		return k, nil
	}
	if !isFailure(err) {
		c.entries.Invalidate(key)
	}
	return nil, err
}

// isFailure says whether an error is for want of an answer, rather than one: what RFC 5861 lets an old answer stand in for.
func isFailure(err error) bool {
	switch apperr.KindOf(err) {
	case apperr.Internal, apperr.Unavailable, apperr.DeadlineExceeded, apperr.TooMany:
		return true
	default:
		return false
	}
}

// publicRead answers a read of the catalogue: staff by product-service itself, everybody else through the cache.
func publicRead[Q proto.Message, A any, T any](
	ctx context.Context, s *Server, m IfNoneMatch, call func(context.Context, Q, ...grpc.CallOption) (A, error), question Q,
	convert func(a A, staff bool) (body T, version *int64),
) (*Cacheable[T], error) {
	staff := isStaff(ctx)
	load := func(ctx context.Context) (representation, error) {
		a, err := call(ctx, question)
		if err != nil {
			return representation{}, err
		}
		return represent(convert(a, staff))
	}
	if staff {
		answer, err := load(ctx)
		if err != nil {
			return nil, err
		}
		return cacheable[T](m, answer, privateCaching), nil
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(question)
	if err != nil {
		return nil, fmt.Errorf("name the question: %w", err)
	}
	answer, age, from, err := s.reads.read(ctx, string(question.ProtoReflect().Descriptor().Name())+" "+string(raw), load)
	if err != nil {
		return nil, err
	}
	out := cacheable[T](m, answer, publicCaching)
	if from != fromService {
		// Rounded to the nearest: a client that counts from it keeps the answer for half a second too long at most.
		out.Age = strconv.Itoa(int(age.Round(time.Second).Seconds()))
	}
	out.CacheStatus = cacheStatus(from, age)
	return out, nil
}

// cacheStatus is the field of RFC 9211, which says what this cache did. RFC 9111 has taken back the Warning that stood for stale
// answers before.
func cacheStatus(from source, age time.Duration) string {
	switch from {
	case fromCache:
		return "shop; hit"
	case fromOldCache:
		return "shop; hit; ttl=" + strconv.Itoa(int((freshFor - age).Round(time.Second).Seconds())) + "; detail=stale-if-error"
	default:
		return "shop; fwd=miss"
	}
}
