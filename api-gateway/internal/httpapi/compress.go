package httpapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzhttp"
)

const (
	// compressLevel: see BenchmarkCompression. Of a page of 20 products (18 kB) level 1 leaves 4.9 kB in 0.17 ms; level 6 takes
	// half as long again, and level 9 three times, to save 2 % more.
	compressLevel = 1
	// compressFrom is the size from which on it is done: what fits in one packet anyway gains nothing.
	compressFrom = 1024
	// gzipTag marks the entity tag of a compressed representation, which is another one than that of the plain (RFC 9110,
	// 8.8.3.3). No tag of ours has a full stop in it otherwise.
	gzipTag = ".gzip"
)

// compressible are the types that are text. Streams are not among them: their lines are to arrive as they are made.
var compressible = []string{
	"application/json", problemContentType, "application/openapi+json", "application/openapi+yaml",
	"text/html", "text/css", "text/javascript", "application/javascript",
}

// secretPaths answer with tokens and keys. Compressed beside text that somebody else chooses, a secret can be guessed from the
// length of the answer (BREACH); these answers are small, so there is nothing to gain either.
var secretPaths = []string{base + "/auth/", base + "/webhook-endpoints"}

// compress sends larger answers in gzip to those who take it. The compressed representation has a strong tag of its own, which
// conditional requests may use like that of the plain one.
func compress(next http.Handler) (http.Handler, error) {
	wrap, err := gzhttp.NewWrapper(
		gzhttp.CompressionLevel(compressLevel), gzhttp.MinSize(compressFrom), gzhttp.EnableZstd(false),
		gzhttp.ContentTypes(compressible), gzhttp.SuffixETag(gzipTag),
	)
	if err != nil {
		return nil, err
	}
	compressing := wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchangeOf(r.Context())
		r.Method = x.method
		switch w.(type) {
		case *gzhttp.GzipResponseWriter, gzhttp.GzipResponseWriterWithCloseNotify:
		default: // the client does not take gzip: a compressed copy is of no use to it
			next.ServeHTTP(w, r)
			return
		}
		theirs := r.Header.Values("If-None-Match")
		if len(theirs) > 0 {
			r.Header["If-None-Match"] = plainTags(theirs)
		}
		next.ServeHTTP(w, r)
		// A 304 bears the tag of the copy that it is about. Nothing is sent yet: the wrapper waits for the first kilobyte.
		if x.status == http.StatusNotModified {
			if tag := markTag(w.Header().Get("ETag")); slices.ContainsFunc(theirs, func(list string) bool { return strings.Contains(list, tag) }) {
				w.Header().Set("ETag", tag)
			}
		}
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if theirs := r.Header.Values("If-Match"); len(theirs) > 0 {
			r.Header["If-Match"] = plainTags(theirs) // whichever copy was read: what is to be changed is the same
		}
		if r.URL.Path == importPath || slices.ContainsFunc(secretPaths, func(prefix string) bool { return strings.HasPrefix(r.URL.Path, prefix) }) {
			next.ServeHTTP(w, r)
			return
		}
		// The wrapper leaves HEAD alone, but its answer must have the fields that GET's would have.
		exchangeOf(r.Context()).method = r.Method
		if r.Method == http.MethodHead {
			r = r.WithContext(r.Context())
			r.Method = http.MethodGet
		}
		compressing.ServeHTTP(w, r)
	}), nil
}

// plainTags are lists of tags with those of compressed copies replaced by those of the plain ones.
func plainTags(lists []string) []string {
	plain := make([]string, len(lists))
	for i, list := range lists {
		plain[i] = strings.ReplaceAll(list, gzipTag+`"`, `"`)
	}
	return plain
}

// markTag is the tag of the compressed copy of what has the given tag.
func markTag(tag string) string { return strings.TrimSuffix(tag, `"`) + gzipTag + `"` }
