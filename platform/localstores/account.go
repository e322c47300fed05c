package localstores

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"

	"shop.example/platform/localstores/child"
)

// unprivileged chooses the account for a server. Root must not run one (PostgreSQL refuses, and Redis should): the package's
// own system account takes its place, or nobody. Anyone else runs it as himself, which is nil.
func unprivileged(preferred ...string) (*child.Account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range append(preferred, "nobody") {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(found.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(found.Gid, 10, 32)
		if err := errors.Join(errUID, errGID); err != nil {
			return nil, fmt.Errorf("account %s: %w", name, err)
		}
		return &child.Account{Name: name, UID: uint32(uid), GID: uint32(gid)}, nil
	}
	return nil, fmt.Errorf("root needs an unprivileged account to run the stores under, and there is none of %v, nobody", preferred)
}
