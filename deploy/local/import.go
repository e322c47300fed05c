package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"shop.example/deploy/local/importer"
	"shop.example/deploy/local/runner"
)

// errLinesFailed says that not all of a file was imported, which has been said line by line.
var errLinesFailed = errors.New("some lines were not imported: correct them and import the file again")

// importFile sends a file of products to a running shop. Whose account it uses is in the environment, where other users of the
// machine can't read it.
func importFile(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("import", flag.ContinueOnError)
	url := flags.String("url", "", "where the shop answers (default: the one that runs here)")
	data := flags.String("data", "", "data folder of the shop that runs here (default .local in the repository)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("usage: import [--url URL] [--data DIR] FILE.ndjson, with SHOP_EMAIL and SHOP_PASSWORD, or SHOP_TOKEN, in the environment")
	}
	file, err := os.Open(flags.Arg(0))
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", file.Name())
	}
	account, err := accountFor(*url, *data)
	if err != nil {
		return err
	}
	token := account.Token
	if given := os.Getenv("SHOP_TOKEN"); given != "" {
		token = func(context.Context, bool) (string, error) { return given, nil }
	}
	if _, err := token(ctx, false); err != nil {
		return err
	}

	terminal := runner.IsTerminal(os.Stdout)
	bar := &importer.Bar{Out: os.Stdout, Terminal: terminal, Size: info.Size()}
	begin := time.Now()
	work := importer.Importer{
		URL: account.URL, Token: token, Progress: bar.Show,
		Failed: func(r importer.Result) { bar.Print("line %d: %s (%s)", r.Line, r.Detail, r.Code) },
		Paused: func(why error, pause time.Duration) { bar.Print("waiting %v: %v", pause, why) },
	}
	counts, err := work.Import(ctx, file, info.Size())
	took := time.Since(begin)
	bar.Print("%d created, %d updated, %d failed in %.1f s (%.0f lines/s)", counts.Created, counts.Updated, counts.Failed, took.Seconds(), float64(counts.Lines())/took.Seconds())
	switch {
	case err != nil:
		return fmt.Errorf("not all was imported: %w; import the file again to go on", err)
	case counts.Failed > 0:
		return errLinesFailed
	}
	return nil
}

// accountFor returns who imports where: as the environment says, or else as the admin of the shop that runs here.
func accountFor(url, data string) (*importer.Account, error) {
	url = strings.TrimRight(url, "/")
	account := &importer.Account{URL: url, Email: os.Getenv("SHOP_EMAIL"), Password: os.Getenv("SHOP_PASSWORD")}
	if url != "" && (account.Email != "" || os.Getenv("SHOP_TOKEN") != "") {
		return account, nil
	}
	if data == "" {
		root, err := runner.FindRoot()
		if err != nil {
			return nil, err
		}
		data = filepath.Join(root, ".local")
	}
	var here runner.Description
	raw, err := os.ReadFile(filepath.Join(data, "stack.json"))
	if err == nil {
		err = json.Unmarshal(raw, &here)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("no shop runs here (%w): say where one does and who you are, by --url and SHOP_EMAIL, SHOP_PASSWORD", err)
	case url != "" && url != here.Gateway:
		return nil, errors.New("say who you are at that shop, by SHOP_EMAIL and SHOP_PASSWORD, or SHOP_TOKEN")
	}
	account.URL = here.Gateway
	for _, a := range here.Accounts {
		if a.Role == "admin" && account.Email == "" {
			account.Email, account.Password = a.Email, a.Password
		}
	}
	return account, nil
}
