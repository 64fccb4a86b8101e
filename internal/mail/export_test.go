package mail

// Compose lets the fuzz test look at the bytes without the cost of a file.
func Compose(m Message) ([]byte, error) {
	l, err := compose(m)
	return l.content, err
}
