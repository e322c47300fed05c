package runner

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// secrets are the random passwords of one data folder, made by its first start and kept beside the data that they open.
type secrets struct {
	Postgres  string            `json:"postgres"` // the superuser
	Databases map[string]string `json:"databases"`
	Redis     string            `json:"redis"`
	Admin     string            `json:"admin"`
	Customer  string            `json:"customer"`
}

// loadSecrets reads the secrets of a data folder, or makes them.
func loadSecrets(data *dataFolder) (secrets, error) {
	path := data.at("secrets.json")
	content, err := os.ReadFile(path)
	if err == nil {
		var s secrets
		if err := json.Unmarshal(content, &s); err != nil {
			return secrets{}, fmt.Errorf("read %s: %w", path, err)
		}
		return s, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return secrets{}, err
	}
	if fileExists(data.at("postgres")) {
		return secrets{}, fmt.Errorf("%s is gone, and with it the passwords of the databases beside it: start anew with --reset", path)
	}
	// rand.Text has 130 bits in letters and digits, which pass through URLs, shells and JSON as they are.
	s := secrets{
		Postgres: rand.Text(), Redis: rand.Text(), Admin: rand.Text(), Customer: rand.Text(),
		Databases: map[string]string{},
	}
	for _, name := range databases {
		s.Databases[name] = rand.Text()
	}
	content, err = json.MarshalIndent(s, "", "  ")
	if err != nil {
		return secrets{}, err
	}
	return s, writeWhole(path, content)
}

// writeWhole writes a file that only its owner may read, so that a reader sees the old content or the new but never a part.
func writeWhole(path string, content []byte) error {
	temporary := path + ".new"
	if err := os.WriteFile(temporary, append(content, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
