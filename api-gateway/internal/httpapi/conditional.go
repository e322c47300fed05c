package httpapi

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"shop.example/platform/apperr"
)

// publicCaching lets caches answer for a moment, the shortest that can be said: prices and stock change, and nobody should wait
// long to see it. While the shop is away they may answer with what they have for as long as the gateway itself would, see
// staleFor. Staff and everybody else are shown different things, so the answer depends on who asks.
const (
	publicCaching  = "public, max-age=1, stale-if-error=300"
	privateCaching = "private, no-cache"
)

// etag is the strong entity tag of a version, for what changes with it only.
func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// etagOf is the strong entity tag of what changes without its version, too: the digest behind the version says how it reads now.
func etagOf(version int64, body any) (string, error) {
	r, err := represent(body, &version)
	return r.tag, err
}

// location is where a new resource can be read.
func locationOf(collection, id string) string { return base + "/" + collection + "/" + id }

// strongTag is one strong entity tag (RFC 9110, 8.8.3).
var strongTag = regexp.MustCompile(`^"([\x21\x23-\x7e\x80-\xff]*)"$`)

// versionTag is what our tags of versions are made of: there is one way to write each.
var versionTag = regexp.MustCompile(`^(0|[1-9][0-9]*)(?:-[A-Za-z0-9_-]+)?$`)

// IfMatch is the precondition of writes.
type IfMatch struct {
	IfMatch string `header:"If-Match" maxLength:"200" example:"\"3\"" doc:"The ETag that was read; if it is stale, the answer is 412 and nothing changes."`
}

// version is the version that the resource must still have; nil for any. A tag that was never one of ours can't match.
func (m IfMatch) version() (*int64, error) {
	if m.IfMatch == "" || m.IfMatch == "*" {
		return nil, nil
	}
	weak := strings.HasPrefix(m.IfMatch, "W/")
	parts := strongTag.FindStringSubmatch(strings.TrimPrefix(m.IfMatch, "W/"))
	if parts == nil {
		return nil, apperr.New(apperr.Malformed, apperr.Malformed.DefaultReason(), `If-Match must hold one entity tag, such as "3".`)
	}
	// The tag of a representation that changes without its version has a digest after the version.
	ours := versionTag.FindStringSubmatch(parts[1])
	var (
		version int64
		err     error
	)
	if ours != nil {
		version, err = strconv.ParseInt(ours[1], 10, 64)
	}
	if ours == nil || err != nil || weak { // If-Match compares strongly: a weak tag never matches
		return nil, apperr.New(apperr.VersionMismatch, apperr.VersionMismatch.DefaultReason(), "It was changed meanwhile. Read it again.")
	}
	return &version, nil
}

// notModified documents the answer to a condition that was met. Each operation needs one of its own.
func notModified() map[string]*huma.Response {
	return map[string]*huma.Response{"304": {Description: "The client has it already."}}
}

// IfNoneMatch is the condition of reads that caches remember.
type IfNoneMatch struct {
	IfNoneMatch string `header:"If-None-Match" example:"\"7-f2bac3b8ee7123796d909f0a\"" doc:"The ETag of what the client has; if nothing has changed, the answer is 304 without a body."`
}

// matches compares weakly, as RFC 9110 demands for If-None-Match.
func (m IfNoneMatch) matches(tag string) bool {
	for candidate := range strings.SplitSeq(m.IfNoneMatch, ",") {
		candidate = strings.TrimSpace(candidate)
		if candidate == "*" || strings.TrimPrefix(candidate, "W/") == tag {
			return true
		}
	}
	return false
}

// Cacheable is the answer to a read of the catalogue.
type Cacheable[T any] struct {
	Status       int
	ETag         string `header:"ETag"`
	CacheControl string `header:"Cache-Control"`
	Age          string `header:"Age"`
	CacheStatus  string `header:"Cache-Status"`
	Body         Written[T]
}

// cacheable answers with what was written, or with 304 if the client has it already.
func cacheable[T any](m IfNoneMatch, r representation, caching string) *Cacheable[T] {
	answer := &Cacheable[T]{Status: http.StatusOK, ETag: r.tag, CacheControl: caching, Body: Written[T]{r.json}}
	if m.matches(answer.ETag) {
		answer.Status = http.StatusNotModified
	}
	return answer
}

// publicAnswer is cacheable for a body that everybody is shown alike.
func publicAnswer[T any](m IfNoneMatch, body T) (*Cacheable[T], error) {
	r, err := represent(body, nil)
	if err != nil {
		return nil, err
	}
	return cacheable[T](m, r, publicCaching), nil
}
