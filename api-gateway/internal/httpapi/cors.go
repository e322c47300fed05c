package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/rs/cors"
)

// preflightMaxAge is for how many seconds a browser may remember what is allowed. Safari remembers for no longer than this,
// and an origin that is taken off the list is refused within ten minutes.
const preflightMaxAge = 600

// exposedHeaders are what scripts of other origins may read of an answer, beyond the few that they always may.
var exposedHeaders = []string{
	"ETag", "Location", "X-Request-ID", "X-Cart-Token", "Idempotency-Replayed",
	"RateLimit", "RateLimit-Policy", "Retry-After", "Age", "Cache-Status", "WWW-Authenticate", "Allow", "Content-Encoding",
}

// sentHeaders are what scripts of other origins may send, beyond the few that they always may.
var sentHeaders = []string{
	"Authorization", "Content-Type", "If-Match", "If-None-Match", "Idempotency-Key", "X-Cart-Token", "X-Request-ID",
	"Traceparent", "Tracestate",
}

// CORS says which pages' scripts may call the shop. The zero value allows none but those of its own origin.
type CORS struct {
	// Origins are exact, such as https://www.shop.example, or the single entry "*" for all.
	Origins []string
	// Credentials allows cookies and client certificates with the requests. Access tokens don't need it.
	Credentials bool
}

// ParseCORS checks what an operator has set. What no browser could ever send as an Origin is refused, since it would silently
// allow nothing, and so is what would allow everybody to act as the user.
func ParseCORS(origins []string, credentials bool) (CORS, error) {
	c := CORS{Credentials: credentials}
	var faults []error
	for _, origin := range origins {
		if origin = strings.TrimSpace(origin); origin == "" {
			continue
		}
		c.Origins = append(c.Origins, origin)
		if err := checkOrigin(origin); err != nil {
			faults = append(faults, err)
		}
	}
	if slices.Contains(c.Origins, "*") {
		if len(c.Origins) > 1 {
			faults = append(faults, errors.New(`"*" is all origins: name nothing beside it`))
		}
		if credentials {
			faults = append(faults, errors.New(`"*" can't be combined with CORS_ALLOW_CREDENTIALS: any page could act as the user that is looking at it`))
		}
	}
	if credentials && len(c.Origins) == 0 {
		faults = append(faults, errors.New("CORS_ALLOW_CREDENTIALS is set, but no origin is allowed"))
	}
	return c, errors.Join(faults...)
}

func checkOrigin(origin string) error {
	if origin == "*" {
		return nil
	}
	if origin == "null" {
		return errors.New(`"null" is the origin of every sandboxed page and local file, whoever made it: it can't be allowed`)
	}
	u, err := url.Parse(origin)
	defaultPort := map[string]string{"http": "80", "https": "443"}
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return fmt.Errorf("%q is not an origin such as https://www.shop.example", origin)
	case strings.Contains(u.Host, "*"):
		return fmt.Errorf("%q has a wildcard in it: name each origin", origin)
	case u.Port() == defaultPort[u.Scheme]:
		return fmt.Errorf("%q names the port that browsers leave out", origin)
	case origin != u.Scheme+"://"+strings.ToLower(u.Host) || strings.HasSuffix(u.Host, ":"):
		return fmt.Errorf("%q must be scheme and host in lower case and, if it is not the usual one, the port; no path and no slash at the end", origin)
	}
	return nil
}

// allowOrigins puts the CORS fields on every answer, errors included. Preflights pass through, so that they are counted.
func (s *Server) allowOrigins(next http.Handler) http.Handler {
	if len(s.cors.Origins) == 0 {
		return next
	}
	return cors.New(cors.Options{
		AllowedOrigins:     s.cors.Origins,
		AllowedMethods:     []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
		AllowedHeaders:     sentHeaders,
		ExposedHeaders:     exposedHeaders,
		AllowCredentials:   s.cors.Credentials,
		MaxAge:             preflightMaxAge,
		OptionsPassthrough: true,
	}).Handler(next)
}

// answerPreflights ends preflights, whose answer is in the fields that allowOrigins has set. They bear no token, and ask for
// no operation.
func (s *Server) answerPreflights(next http.Handler) http.Handler {
	if len(s.cors.Origins) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != "" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}
