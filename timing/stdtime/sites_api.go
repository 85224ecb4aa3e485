package stdtime

import "regexp"

// Tier is the class of clock that a timer runs on.
type Tier string

// The tiers.
const (
	Precise Tier = "precise"
	Coarse  Tier = "coarse"
)

var pionModule = regexp.MustCompile(`^github\.com/pion/[^/.]+(/v[0-9]+)?`)

// SiteOf names the label and the tier of the timers that a function arms.
func SiteOf(function string) (label string, tier Tier) {
	if module := pionModule.FindString(function); module != "" {
		return Module{Path: module}.Label(), Precise
	}
	return "other", Precise
}
