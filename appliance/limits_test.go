package appliance

import (
	"reflect"
	"testing"

	"tourbillon/appliance/config"
	"tourbillon/signaling/agent"
	"tourbillon/signaling/agent/pacing"
	"tourbillon/turn"
)

// TestConfiguredLimitsReachTheRelay gives every configured limit a value of its own: all must arrive, and the defaults
// must be the relay's.
func TestConfiguredLimitsReachTheRelay(t *testing.T) {
	var configured config.TURNLimits
	fields := reflect.ValueOf(&configured).Elem()
	for i := range fields.NumField() {
		fields.Field(i).SetInt(int64(1000 + i))
	}
	limits := reflect.ValueOf(turnLimits(configured))
	if limits.NumField() != fields.NumField() {
		t.Errorf("%d limits can be configured, the relay has %d", fields.NumField(), limits.NumField())
	}
	for i := range fields.NumField() {
		name := fields.Type().Field(i).Name
		if got := limits.FieldByName(name); !got.IsValid() || got.Int() != int64(1000+i) {
			t.Errorf("%s does not arrive", name)
		}
	}
	const ports = 16384
	if got, want := turnLimits(config.Default().TURN.Limits).WithDefaults(ports), (turn.Limits{}).WithDefaults(ports); got != want {
		t.Errorf("the configuration's defaults are\n%+v\nthe relay's are\n%+v", got, want)
	}
}

// TestConfiguredLimitsReachTheAgents does the same for the agents: each setting arrives, and the defaults are theirs.
func TestConfiguredLimitsReachTheAgents(t *testing.T) {
	c := config.Agents{
		Calls: 1001, CallsPerAddress: 1002, Lifetime: 1003, Idle: 1004, Bytes: 1005, MessagesPerSecond: 1006, CheckInterval: 1007, ChecksPerSecond: 1008,
	}
	want := agent.Limits{Total: 1001, PerAddress: 1002, Lifetime: 1003, Idle: 1004, Bytes: 1005, MessagesPerSecond: 1006}
	if got := agentLimits(c, false); got != want {
		t.Errorf("limits %+v", got)
	}
	if got := agentPacing(c); got != (pacing.Config{Ta: 1007, Ceiling: 1008}) {
		t.Errorf("pacing %+v", got)
	}
	d := config.Default().Agents
	if got, want := agentLimits(d, false).WithDefaults(), (agent.Limits{}).WithDefaults(); got != want {
		t.Errorf("the configuration's defaults are\n%+v\nthe agents' are\n%+v", got, want)
	}
	if d.CheckInterval != pacing.DefaultTa || d.ChecksPerSecond != pacing.DefaultCeiling {
		t.Errorf("the configuration's pace is %v and %d", d.CheckInterval, d.ChecksPerSecond)
	}
	if off := agentLimits(d, true); off.Total <= d.Calls || off.PerAddress <= d.CallsPerAddress {
		t.Errorf("without limits: %+v", off)
	}
}
