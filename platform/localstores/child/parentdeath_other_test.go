//go:build unix && !linux

package child_test

const diesWithParent = false
