package web

import (
	"encoding/json"
	"mime"
	"net/http"
	"time"
)

// maxBody bounds the body of a request to the admin API, in bytes.
const maxBody = 4 << 10

// heartbeatOrder is what POST /api/heartbeat takes: the class of clients, "browser", "native" or "all", and the
// interval of their pings.
type heartbeatOrder struct {
	Class      string `json:"class"`
	IntervalMS int64  `json:"interval_ms"`
}

// serveHeartbeat changes the interval of the signaling server's pings and answers how many connections it reached.
func (a *Admin) serveHeartbeat(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	// A form of another site could send any of the types that need no preflight, so only JSON is taken, which does.
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		http.Error(w, "Send the order as application/json.", http.StatusUnsupportedMediaType)
		return
	}
	var order heartbeatOrder
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&order); err != nil {
		http.Error(w, `Send {"class":"all","interval_ms":1000}.`, http.StatusBadRequest)
		return
	}
	changed, err := a.setHeartbeat(order.Class, time.Duration(min(order.IntervalMS, maxIntervalMS))*time.Millisecond)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]int{"connections": changed}) // The reader went away: nobody to tell.
}

// maxIntervalMS keeps the conversion of what was asked for from overflowing; it is far beyond every limit.
const maxIntervalMS = int64(24 * time.Hour / time.Millisecond)
