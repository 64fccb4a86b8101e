//go:build !race

package simulation_test

// raceDetector says whether these tests look for data races.
const raceDetector = false
