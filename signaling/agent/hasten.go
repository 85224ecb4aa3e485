package agent

import (
	"github.com/pion/webrtc/v4"
)

// Hasten makes pion quicker.
func Hasten(s *webrtc.SettingEngine) {
}
