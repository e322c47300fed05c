package localstores

import (
	"os"
	"path/filepath"
	"testing"
)

func TestHoldServicesBackRestores(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	policy := filepath.Join(root, "usr/sbin/policy-rc.d")
	cluster := filepath.Join(root, "etc/postgresql-common/createcluster.d/shop-localstores.conf")
	restore, err := holdServicesBack(root)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(policy); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("policy-rc.d: %v, %v; want an executable file", info, err)
	}
	if !fileExists(cluster) {
		t.Error("PostgreSQL would make a cluster of its own")
	}
	restore()
	if fileExists(policy) || fileExists(cluster) {
		t.Error("something was left behind")
	}
}

func TestHoldServicesBackKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	policy := filepath.Join(root, "usr/sbin/policy-rc.d")
	if err := os.MkdirAll(filepath.Dir(policy), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(policy, []byte("the administrator's"), 0o755); err != nil {
		t.Fatal(err)
	}
	restore, err := holdServicesBack(root)
	if err != nil {
		t.Fatal(err)
	}
	restore()
	if got, err := os.ReadFile(policy); err != nil || string(got) != "the administrator's" {
		t.Errorf("policy-rc.d = %q, %v; want it as it was", got, err)
	}
}

func TestParsePostgresVersion(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]struct {
		version string
		major   int
		ok      bool
	}{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n": {"15.18", 15, true},
		"postgres (PostgreSQL) 18beta1\n":                        {"18beta1", 18, true},
		"postgres (EDB) nonsense\n":                              {},
	} {
		version, major, ok := parsePostgresVersion(answer)
		if version != want.version || major != want.major || ok != want.ok {
			t.Errorf("%q: %q, %d, %v; want %+v", answer, version, major, ok, want)
		}
	}
}

func TestChooseTakesTheVersionOfTheData(t *testing.T) {
	t.Parallel()
	p := &Programs{postgres: []postgresPrograms{{major: 17, version: "17.2"}, {major: 15, version: "15.18"}}}
	for major, want := range map[int]string{0: "17.2", 15: "15.18"} {
		if got, err := p.choose(major); err != nil || got.version != want {
			t.Errorf("choose(%d) = %q, %v; want %q", major, got.version, err, want)
		}
	}
	if _, err := p.choose(13); err == nil {
		t.Error("choose(13): nil, want an error that says what to install")
	}
}
