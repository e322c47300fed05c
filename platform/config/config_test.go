package config_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"shop.example/platform/config"
)

type settings struct {
	URL     string        `env:"TEST_CONFIG_URL,required,notEmpty"`
	Wait    time.Duration `env:"TEST_CONFIG_WAIT" envDefault:"5s"`
	Retries int           `env:"TEST_CONFIG_RETRIES" envDefault:"3"`
}

func (s *settings) Validate() error {
	if s.Retries > 10 {
		return errors.New("TEST_CONFIG_RETRIES must be at most 10")
	}
	return nil
}

func TestAllMistakesAtOnce(t *testing.T) {
	t.Setenv("TEST_CONFIG_WAIT", "soon")
	t.Setenv("TEST_CONFIG_RETRIES", "many")
	_, err := config.Load[settings]()
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{"TEST_CONFIG_URL must be set", "TEST_CONFIG_WAIT: ", "TEST_CONFIG_RETRIES: "} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in:\n%v", part, err)
		}
	}
}

func TestDefaultsAndValidate(t *testing.T) {
	t.Setenv("TEST_CONFIG_URL", "x")
	got, err := config.Load[settings]()
	if err != nil || got.Wait != 5*time.Second {
		t.Errorf("got %+v, %v", got, err)
	}
	t.Setenv("TEST_CONFIG_RETRIES", "11")
	if _, err := config.Load[settings](); err == nil || !strings.Contains(err.Error(), "at most 10") {
		t.Errorf("got %v", err)
	}
}
