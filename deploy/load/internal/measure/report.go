package measure

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"
)

// Report is what is said at the end of a run.
type Report struct {
	Requests
	// Unit names what the shop's work is divided by: the requests of kind Per that were answered well, of all kinds for "".
	Unit, Per string
	// Shop is what was done meanwhile.
	Shop Counters
}

// seldom is how rarely a call is not worth a line: they are those that services make now and then by themselves.
const seldom = 0.01

// Print writes what customers saw for a person.
func (r Requests) Print(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	seconds := r.Length.Seconds()
	fmt.Fprintf(t, "\nrequests in %.1f s\tcount\tper s\tp50 ms\tp99 ms\tmax ms\t\n", seconds)
	for _, k := range r.Kinds {
		fmt.Fprintf(t, "%s\t%d\t%.1f\t%s\t%s\t%s\t\n", k.Name, k.Done, float64(k.Done)/seconds, ms(k.P50), ms(k.P99), ms(k.Max))
	}
	fmt.Fprintf(t, "all\t%d\t%.1f\t\t\t\t\n", r.Done(""), float64(r.Done(""))/seconds)
	r.printFailures(t)
	return t.Flush()
}

// Print writes the report for a person.
func (r Report) Print(out io.Writer) error {
	if err := r.Requests.Print(out); err != nil {
		return err
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	seconds := r.Length.Seconds()
	units := r.Done(r.Per)
	if units == 0 {
		fmt.Fprintf(t, "\nthere was no %s to divide the work by\t\n", r.Unit)
		return t.Flush()
	}
	per := func(n float64) float64 { return n / float64(units) }

	fmt.Fprintf(t, "\nCPU\tms per %s\tcores\t\n", r.Unit)
	sum := time.Duration(0)
	for _, name := range slices.Sorted(maps.Keys(r.Shop.CPU)) {
		used := r.Shop.CPU[name]
		sum += used
		fmt.Fprintf(t, "%s\t%.2f\t%.2f\t\n", name, per(float64(used)/float64(time.Millisecond)), used.Seconds()/seconds)
	}
	fmt.Fprintf(t, "all\t%.2f\t%.2f\t\n", per(float64(sum)/float64(time.Millisecond)), sum.Seconds()/seconds)

	fmt.Fprintf(t, "\nPostgreSQL\tper %s\tper s\t\n", r.Unit)
	for _, name := range slices.Sorted(maps.Keys(r.Shop.Transactions)) {
		n := float64(r.Shop.Transactions[name])
		fmt.Fprintf(t, "transactions of %s, reads too\t%.2f\t%.0f\t\n", name, per(n), n/seconds)
	}
	wal := r.Shop.WAL
	fmt.Fprintf(t, "WAL fsyncs, all databases\t%.2f\t%.0f\t\n", per(float64(wal.Syncs)), float64(wal.Syncs)/seconds)
	fmt.Fprintf(t, "WAL KiB, all databases\t%.1f\t%.0f\t\n", per(float64(wal.Bytes)/1024), float64(wal.Bytes)/1024/seconds)

	fmt.Fprintf(t, "\nRPCs answered\tper %s\t\n", r.Unit)
	for _, service := range slices.Sorted(maps.Keys(r.Shop.RPCs)) {
		methods := r.Shop.RPCs[service]
		all := 0.0
		for _, method := range slices.Sorted(maps.Keys(methods)) {
			n := per(float64(methods[method]))
			all += n
			if n >= seldom {
				fmt.Fprintf(t, "%s\t%.2f\t\n", method, n)
			}
		}
		if len(methods) > 0 {
			fmt.Fprintf(t, "%s in all\t%.2f\t\n", service, all)
		}
	}
	return t.Flush()
}

func (r Requests) printFailures(out io.Writer) {
	fmt.Fprintf(out, "\nnot answered well\tcount\t\n")
	none := true
	for _, k := range r.Kinds {
		for _, f := range k.Failures {
			none = false
			fmt.Fprintf(out, "%s: %s\t%d\t\n", k.Name, f.What, f.Count)
		}
	}
	if none {
		fmt.Fprintf(out, "none\t0\t\n")
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond)) }
