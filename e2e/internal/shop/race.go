//go:build race

package shop

// race says that the tests run with the race detector: the services are built with it, too.
const race = true
