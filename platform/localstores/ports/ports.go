// Package ports hands out free TCP ports on the loopback address, so that several local stacks can run side by side.
//
// A port that is merely free now may be taken before its server binds it. Two things make that unlikely enough to rely on: the
// ports lie outside the range from which the kernel takes the ports of outgoing connections (32768 and up on Linux, 49152 and
// up elsewhere), and a port handed out is locked for this process until it is released or the process ends, so that no other
// user of this package chooses it meanwhile.
package ports

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// The range that ports are taken from: above the well-known and usual ones, below the kernel's own.
const (
	lowest  = 20000
	highest = 32000
)

var (
	mu    sync.Mutex
	taken = map[int]bool{} // by this process: the locks of one process do not exclude each other
	locks *os.File
)

// Reserve returns a port that nothing listens on and that no other Reserve returns before Release.
func Reserve() (int, error) {
	mu.Lock()
	defer mu.Unlock()
	if err := openLocks(); err != nil {
		return 0, err
	}
	// With a few hundred of 12000 ports in use, a hundred misses in a row do not happen by chance.
	for range 100 {
		port := lowest + rand.IntN(highest-lowest)
		if taken[port] || !lock(port) {
			continue
		}
		if err := Free(port); err != nil {
			unlock(port)
			continue
		}
		taken[port] = true
		return port, nil
	}
	return 0, fmt.Errorf("no free port between %d and %d on 127.0.0.1", lowest, highest)
}

// Release gives ports back that Reserve returned; others are left alone.
func Release(ports ...int) {
	mu.Lock()
	defer mu.Unlock()
	for _, port := range ports {
		if taken[port] {
			delete(taken, port)
			unlock(port)
		}
	}
}

// Free returns an error if something listens on the port of the loopback address already.
func Free(port int) error {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("port %d is in use by another program", port)
	}
	if errors.Is(err, syscall.EACCES) {
		return fmt.Errorf("port %d may be used by root only", port)
	}
	if err != nil {
		return fmt.Errorf("port %d: %w", port, err)
	}
	return listener.Close()
}

// openLocks opens the file in which byte n is locked by the process that has port n. The system frees a process's locks when it
// ends, however it ends. Each user has a file of his own, as nobody can open another's; between users the test by listening has to do.
func openLocks() error {
	if locks != nil {
		return nil
	}
	path := filepath.Join(os.TempDir(), fmt.Sprintf("shop-ports-%d.lock", os.Geteuid()))
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock ports: %w", err)
	}
	locks = file
	return nil
}

func lock(port int) bool {
	return syscall.FcntlFlock(locks.Fd(), syscall.F_SETLK, byteOf(port, syscall.F_WRLCK)) == nil
}

func unlock(port int) {
	_ = syscall.FcntlFlock(locks.Fd(), syscall.F_SETLK, byteOf(port, syscall.F_UNLCK))
}

func byteOf(port int, kind int16) *syscall.Flock_t {
	return &syscall.Flock_t{Type: kind, Whence: io.SeekStart, Start: int64(port), Len: 1}
}
