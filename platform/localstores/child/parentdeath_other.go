//go:build unix && !linux

package child

import "syscall"

// Only Linux tells a child about its parent's death.
func dieWithParent(*syscall.SysProcAttr, syscall.Signal) {}
