//go:build !race

package messages_test

// raceDetector says whether these tests look for data races.
const raceDetector = false
