package journal

import (
	"path/filepath"
	"testing"
)

func TestAFailedWriteIsTheEnd(t *testing.T) {
	t.Parallel()
	j, err := Open(filepath.Join(t.TempDir(), "journal"), func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := j.file.Close(); err != nil { // from here on every write fails
		t.Fatal(err)
	}
	if err := j.Append([]byte(`{}`)).Wait(); err == nil {
		t.Error("a record that could not be written was promised")
	}
	<-j.Failed()
	if err := j.Append([]byte(`{}`)).Wait(); err == nil {
		t.Error("a record after a failure was promised")
	}
	if err := j.Tail().Wait(); err == nil {
		t.Error("the tail after a failure was promised")
	}
	if err := j.Close(); err == nil {
		t.Error("Close says nothing of the failure")
	}
}
