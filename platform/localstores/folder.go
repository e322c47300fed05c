package localstores

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"shop.example/platform/localstores/child"
)

// folder is a server's data folder, seen from the account that the server runs under.
type folder struct {
	path    string // absolute, as this process sees it
	account *child.Account
	handle  *os.File // see reach
}

// openFolder makes the folder if need be, gives it to the account, and finds a way for the account to reach it.
func openFolder(path string, account *child.Account) (*folder, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	// PostgreSQL refuses a folder that others may read.
	if err := os.Chmod(path, 0o700); err != nil {
		return nil, err
	}
	f := &folder{path: path, account: account}
	if account == nil {
		return f, nil
	}
	if err := f.give(); err != nil {
		return nil, err
	}
	return f, f.reach()
}

// give makes the account the owner of the folder and of what is in it: another account may have been chosen the last time.
func (f *folder) give() error {
	if owner(f.path) == int(f.account.UID) {
		return nil
	}
	err := filepath.WalkDir(f.path, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(f.account.UID), int(f.account.GID))
	})
	if err != nil {
		return fmt.Errorf("give %s to %s: %w", f.path, f.account.Name, err)
	}
	return nil
}

// mark leaves an empty file in the folder, the account's like everything else there.
func (f *folder) mark(name string) error {
	path := filepath.Join(f.path, name)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	if f.account == nil {
		return nil
	}
	return os.Lchown(path, int(f.account.UID), int(f.account.GID))
}

// reach opens the way to a folder below one that is closed to the account, such as a repository in /root. Nobody's permissions
// are changed for it: the server is handed the open folder as its descriptor 3 and takes /proc/self/fd/3 for its path, where
// only the folder itself is asked for permission, not those above it. The server's own children inherit the descriptor.
func (f *folder) reach() error {
	closed := closedAbove(f.path, f.account)
	if closed == "" {
		return nil
	}
	if runtime.GOOS != "linux" {
		return fmt.Errorf("%s is closed to the account %s, which the server runs under: choose a data folder elsewhere, or do not run as root", closed, f.account.Name)
	}
	handle, err := os.Open(f.path)
	if err != nil {
		return err
	}
	f.handle = handle
	return nil
}

// seen is the folder's path for the server.
func (f *folder) seen() string {
	if f.handle != nil {
		return "/proc/self/fd/3"
	}
	return f.path
}

// files are the descriptors to hand to the server.
func (f *folder) files() []*os.File {
	if f.handle != nil {
		return []*os.File{f.handle}
	}
	return nil
}

func (f *folder) close() {
	if f.handle != nil {
		f.handle.Close()
	}
}

// closedAbove returns the folder above path that the account may not pass, "" if the way is free. It knows permission bits;
// where an access list says otherwise the descriptor is taken needlessly, which does no harm.
func closedAbove(path string, account *child.Account) string {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return dir
		}
		pass := info.Mode().Perm() & 0o001
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			switch {
			case stat.Uid == account.UID:
				pass = info.Mode().Perm() & 0o100
			case stat.Gid == account.GID:
				pass = info.Mode().Perm() & 0o010
			}
		}
		if pass == 0 {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

// owner is the user id that owns a path, -1 if that cannot be told.
func owner(path string) int {
	info, err := os.Lstat(path)
	if err != nil {
		return -1
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1
	}
	return int(stat.Uid)
}
