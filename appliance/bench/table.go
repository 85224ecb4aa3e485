//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tourbillon/timing"
)

// Table is one of the tables that the project started from, with our figures beside the origin's.
type Table struct {
	Name string `json:"name"`
	// Note says what was measured where that differs from what the origin's table says.
	Note string     `json:"note"`
	Rows []TableRow `json:"rows"`
}

// TableRow is one figure of one case; a column is null where there is nothing to put.
type TableRow struct {
	Case        string   `json:"case"`
	Figure      string   `json:"figure"`
	Unit        string   `json:"unit"`
	Origin      *float64 `json:"origin"`
	PackageTime *float64 `json:"package_time"`
	HRTimer     *float64 `json:"hrtimer"`
}

// tableCase is one case of a table: what each of the two arms is asked (nil for nothing) and which figures are read
// out of its answer.
type tableCase struct {
	name                 string
	packageTime, hrtimer *order
	figures              []tableFigure
}

type tableFigure struct {
	name, unit string
	// origin is what the origin reports, 0 where it reports nothing.
	origin float64
	read   func(answer) float64
}

type tablePlan struct {
	note  string
	cases []tableCase
}

// tables maps the names that --table takes to what they need.
func tables() map[string]func(*bench) tablePlan {
	return map[string]func(*bench) tablePlan{
		"afterfunc": (*bench).afterFuncTable,
		"requests":  (*bench).requestsTable,
		"create":    (*bench).createTable,
		"heartbeat": (*bench).heartbeatTable,
		"poller":    (*bench).pollerTable,
		"quota":     (*bench).quotaTable,
	}
}

func tableNames() []string {
	return []string{"afterfunc", "requests", "create", "heartbeat", "poller", "quota"}
}

// runTable measures a table as often as there are runs, the arms in turn, and fills in the medians.
func (b *bench) runTable(ctx context.Context, name string) (*Table, error) {
	plan := tables()[name](b)
	table := &Table{Name: name, Note: plan.note}
	for _, c := range plan.cases {
		var answers [2][]answer
		for range b.runs {
			for arm, o := range []*order{c.packageTime, c.hrtimer} {
				a, err := b.askForTable(ctx, o)
				if err != nil {
					return nil, fmt.Errorf("table %s, %s: %w", name, c.name, err)
				}
				answers[arm] = append(answers[arm], a...)
			}
		}
		for _, f := range c.figures {
			table.Rows = append(table.Rows, f.row(c.name, answers))
		}
	}
	return table, nil
}

// askForTable returns no answer where there is no order, or no cgroup to carry it out in.
func (b *bench) askForTable(ctx context.Context, o *order) ([]answer, error) {
	if o == nil {
		return nil, nil
	}
	a, err := b.ask(ctx, *o)
	if errors.As(err, new(*noQuotaError)) {
		b.say("left out: %v", err)
		return nil, nil
	}
	return []answer{a}, err
}

func (f tableFigure) row(name string, answers [2][]answer) TableRow {
	row := TableRow{Case: name, Figure: f.name, Unit: f.unit}
	if f.origin != 0 {
		row.Origin = &f.origin
	}
	row.PackageTime, row.HRTimer = f.median(answers[0]), f.median(answers[1])
	return row
}

func (f tableFigure) median(answers []answer) *float64 {
	if len(answers) == 0 {
		return nil
	}
	var figures []float64
	for _, a := range answers {
		figures = append(figures, f.read(a))
	}
	middle := spreadOf(figures).median
	return &middle
}

func milliseconds[N int64 | float64](ns N) float64 { return float64(ns) / float64(time.Millisecond) }

// openClock opens the clock of one of a table's two arms.
func openClock(arm string) (c timing.Clock, closeClock func() error, err error) {
	if arm == armRuntime {
		return timing.Runtime{}, func() error { return nil }, nil
	}
	engine, err := timing.NewEngine()
	if err != nil {
		return nil, nil, err
	}
	return engine, engine.Close, nil
}
