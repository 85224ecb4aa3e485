package appliance

import (
	"reflect"
	"testing"

	"tourbillon/appliance/config"
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
