//go:build !race

package blackbox

// RaceDetector says whether these tests look for data races.
const RaceDetector = false
