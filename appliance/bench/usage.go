package bench

// UsageError is a command line of `bench timers` that cannot be carried out.
type UsageError struct {
	// Wrong is what is wrong with it, Remedy what would be right.
	Wrong, Remedy string
}

func (e *UsageError) Error() string { return e.Wrong + ": " + e.Remedy }
