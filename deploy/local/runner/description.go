package runner

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
)

// Description is what stack.json says: everything that a tool needs to find its way in a running stack.
type Description struct {
	Gateway   string            `json:"gateway"`
	Accounts  []Account         `json:"accounts"`
	Processes []Process         `json:"processes"`
	Databases map[string]string `json:"databases"`
	Redis     map[string]string `json:"redis"`
}

// Account is an account to sign in with.
type Account struct {
	Role     string `json:"role"`
	Email    string `json:"email"`
	Password string `json:"password"`
}

// Process is one process of the stack. It has the addresses of those doors that it has.
type Process struct {
	Name    string `json:"name"`
	Replica int    `json:"replica"`
	PID     int    `json:"pid"` // 0 while it is down
	GRPC    string `json:"grpc,omitempty"`
	Admin   string `json:"admin,omitempty"`
	HTTP    string `json:"http,omitempty"`   // URL
	Ledger  string `json:"ledger,omitempty"` // URL of the payment provider's ledger
	Addr    string `json:"addr,omitempty"`   // of a store
	Log     string `json:"log"`              // absolute path
}

func writeDescription(path string, d Description) error {
	content, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return writeWhole(path, content)
}

func removeDescription(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
