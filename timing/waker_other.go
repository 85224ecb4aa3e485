//go:build !linux

package timing

func newWaker() (waker, error) {
	return nil, &EngineError{Attempt: "needs Linux's timerfd; package time stands in on this system"}
}
