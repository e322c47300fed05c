package localstores

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// canInstall says whether the missing packages can be installed without asking: by root, with apt-get.
func canInstall() bool {
	if os.Geteuid() != 0 {
		return false
	}
	_, err := exec.LookPath("apt-get")
	return err == nil
}

// install installs the two servers' packages and nothing else: no system service is started and no system database is made.
func install(ctx context.Context, out io.Writer) error {
	unlock, err := lockInstallation()
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := Find(); err == nil { // another process installed them while this one waited
		return nil
	}
	restore, err := holdServicesBack("/")
	if err != nil {
		return fmt.Errorf("prepare the installation: %w", err)
	}
	defer restore()
	fmt.Fprintln(out, "installing PostgreSQL and Redis with apt-get")
	if err := aptGet(ctx, "update"); err != nil {
		return err
	}
	return aptGet(ctx, "install", "--yes", "--no-install-recommends", "postgresql", "redis-server")
}

// lockInstallation lets one process at a time install: the next one finds everything there.
func lockInstallation() (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(os.TempDir(), "shop-localstores-install.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		file.Close()
		return nil, fmt.Errorf("lock the installation: %w", err)
	}
	return func() { file.Close() }, nil
}

// aptGet runs apt-get; its output is shown only when it fails.
func aptGet(ctx context.Context, args ...string) error {
	// Another apt-get may be at work, unattended upgrades on a machine that was just booted, say; two minutes let it finish.
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"--quiet", "-o", "DPkg::Lock::Timeout=120"}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	output, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, lastLines(string(output), 20))
	}
	return nil
}

// holdServicesBack keeps the packages from starting their services and PostgreSQL's from making a cluster of its own, while they
// are being installed. A file that is there already is somebody's decision and stays as it is.
func holdServicesBack(root string) (restore func(), err error) {
	var made []string
	restore = func() {
		for _, path := range made {
			_ = os.Remove(path)
		}
	}
	for _, file := range []struct {
		path, content string
		mode          fs.FileMode
	}{
		{"usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755}, // 101: action forbidden by policy
		{"etc/postgresql-common/createcluster.d/shop-localstores.conf", "create_main_cluster = false\n", 0o644},
	} {
		path := filepath.Join(root, file.path)
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			restore()
			return nil, err
		}
		made = append(made, path)
		if err := os.WriteFile(path, []byte(file.content), file.mode); err != nil {
			restore()
			return nil, err
		}
		if err := os.Chmod(path, file.mode); err != nil { // whatever the umask says: apt runs it
			restore()
			return nil, err
		}
	}
	return restore, nil
}
