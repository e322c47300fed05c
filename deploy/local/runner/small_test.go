package runner

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEnvironmentIsPicked(t *testing.T) {
	t.Parallel()
	got := pick([]string{
		"PATH=/bin", "HOME=/home/me", "SSL_CERT_FILE=/ca.pem", "OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317?a=b",
		"OTEL_SERVICE_NAME=one-for-all", "AWS_SECRET_ACCESS_KEY=private", "DATABASE_URL=postgres://production",
	})
	want := map[string]string{
		"PATH": "/bin", "HOME": "/home/me", "SSL_CERT_FILE": "/ca.pem", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4317?a=b",
	}
	if len(got) != len(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s = %q, want %q", name, got[name], value)
		}
	}
}

func TestMistakesInOptions(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"port":            {Root: "/", Port: 70000},
		"unknown service": {Root: "/", Replicas: map[string]int{"order": 2}},
		"the provider":    {Root: "/", Replicas: map[string]int{testpay: 2}},
		"no replica":      {Root: "/", Replicas: map[string]int{orderService: 0}},
		"too many":        {Root: "/", Replicas: map[string]int{orderService: 200}},
	} {
		if _, err := Start(t.Context(), o); err == nil || !strings.HasPrefix(err.Error(), "--") {
			t.Errorf("%s: %v, want an error that names the flag", name, err)
		}
	}
}

func TestForeignFoldersStayUntouched(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	theirs := filepath.Join(dir, "log")
	if err := os.WriteFile(theirs, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Options{Root: dir, Data: dir, Reset: true})
	if err == nil || !strings.Contains(err.Error(), "--data") {
		t.Errorf("Start = %v, want a refusal that names --data", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 || !fileExists(theirs) {
		t.Errorf("the folder holds %v now", entries)
	}
}

func TestResetKeepsTheLock(t *testing.T) {
	t.Parallel()
	data, err := openData(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer data.close()
	if err := data.prepare(); err != nil {
		t.Fatal(err)
	}
	before, err := loadSecrets(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := data.reset(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(data.path)
	if err != nil || len(entries) != 1 || entries[0].Name() != lockName {
		t.Errorf("after a reset: %v, %v", entries, err)
	}
	after, err := loadSecrets(data)
	if err != nil || after.Admin == before.Admin || after.Admin == "" {
		t.Errorf("the admin's password is %q after a reset, %v", after.Admin, err)
	}
}

func TestLostSecretsAreSaid(t *testing.T) {
	t.Parallel()
	data, err := openData(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer data.close()
	if err := os.Mkdir(data.at("postgres"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := loadSecrets(data); err == nil || !strings.Contains(err.Error(), "--reset") {
		t.Errorf("loadSecrets = %v, want a way out", err)
	}
}

func TestLogsRotateWhenLarge(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "service-1.log")
	if err := os.WriteFile(path, []byte("old\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, large := range []bool{false, true} {
		if large {
			if err := os.Truncate(path, maxLog+1); err != nil {
				t.Fatal(err)
			}
		}
		log, err := openLog(path)
		if err != nil {
			t.Fatal(err)
		}
		log.Close()
		if got := fileExists(path + ".1"); got != large {
			t.Errorf("large %v: set aside %v", large, got)
		}
	}
}

func TestLogTailBeginsAtTheOffset(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("earlier run\nfirst\nsecond\nthird\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	offset := int64(len("earlier run\n"))
	if got, want := logTail(path, offset, 20), "    first\n    second\n    third"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := logTail(path, offset, 1), "    third"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestBuildShowsTheCompilersWords(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, s := range services {
		dir := filepath.Join(root, s.module)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		files := map[string]string{"go.mod": "module example.test/x\n\ngo 1.26\n", "main.go": "package main\n\nfunc main() {}\n"}
		if s.name == cartService {
			files["main.go"] = "package main\n\nfunc main() { undefinedThing() }\n"
		}
		for name, content := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	err := Build(t.Context(), BuildOptions{Root: root, BinDir: filepath.Join(root, "bin")})
	if err == nil || !strings.Contains(err.Error(), "undefinedThing") || !strings.Contains(err.Error(), cartService) {
		t.Errorf("Build = %v, want what the compiler says", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Build(cancelled, BuildOptions{Root: root, BinDir: filepath.Join(root, "bin")}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled Build = %v", err)
	}
}

func TestProgressOutsideATerminalIsPlainLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := newProgress(&out)
	p.step("one").done("with %s", "details")
	_ = p.step("two").finish(errors.New("no"), "")
	text := out.String()
	if strings.ContainsAny(text, "\r\x1b") {
		t.Errorf("control characters in %q", text)
	}
	for _, want := range []string{"ok   one", "with details", "--   two"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q lacks %q", text, want)
		}
	}
}
