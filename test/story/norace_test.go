//go:build !race

package story_test

// raceDetector says whether these tests, and so the binary that they build,
// look for data races.
const raceDetector = false
