package dashboard

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/restock/restock"
)

// chart is the stock of a product over a time as lines and places, in its own
// units: steps, the reorder point, stockouts as bands, orders and arrivals as
// marks. A template draws it.
type chart struct {
	Class         string
	Width, Height int
	// The plot lies between these.
	Left, Right, Top, Bottom float64

	Line, Area string // paths
	Levels     []level
	Times      []level
	Reorder    level
	HasReorder bool
	Bands      []band
	Orders     []mark
	Arrivals   []mark
	End        mark // what is there now

	from time.Time
	to   time.Time
	most float64
	zone *time.Location
}

// level is a line across the plot with its text.
type level struct {
	At   float64
	Text string
}

// band is a stockout.
type band struct {
	X, Width float64
	Stockout restock.Stockout
}

// mark is something that happened at a time.
type mark struct {
	X, Y     float64
	At       time.Time
	Quantity int64
}

const (
	chartSlack   = 1.1 // above the largest number
	bandWidthMin = 3   // so that a short stockout is seen
	spanMin      = 10 * time.Second
	digitWidth   = 8
)

// wideChart and narrowChart are for a desk and for a phone: a drawing that is
// scaled down has no text that can be read.
func wideChart(h restock.StockHistory, p restock.Product, zone *time.Location) chart {
	const timesApart, levelsMax = 95, 5
	c := chart{Class: "wide", Width: 1180, Height: 280, Left: 44, Right: 1168 - beside(h), Top: 18, Bottom: 252, zone: zone}
	return c.draw(h, p, timesApart, levelsMax)
}

func narrowChart(h restock.StockHistory, p restock.Product, zone *time.Location) chart {
	const timesApart, levelsMax = 80, 4
	c := chart{Class: "narrow", Width: 350, Height: 230, Left: 34, Right: 340 - beside(h), Top: 16, Bottom: 204, zone: zone}
	return c.draw(h, p, timesApart, levelsMax)
}

// beside is the room for what is there now, beside the end of the line.
func beside(h restock.StockHistory) float64 {
	if len(h.Points) == 0 {
		return 0
	}
	return digitWidth * float64(len(number(h.Points[len(h.Points)-1].OnHand)))
}

func (c chart) draw(h restock.StockHistory, p restock.Product, timesApart float64, levelsMax int) chart {
	c.from, c.to = h.Since, h.Until
	if c.to.Sub(c.from) < spanMin {
		c.from = c.to.Add(-spanMin)
	}
	largest := int64(1)
	for _, point := range h.Points {
		largest = max(largest, point.OnHand)
	}
	if p.Policy.Ordering != restock.OrderingOff {
		largest = max(largest, p.Policy.ReorderPoint)
		c.HasReorder = true
	}
	c.most = float64(largest) * chartSlack
	if c.HasReorder {
		c.Reorder = level{At: c.y(p.Policy.ReorderPoint), Text: number(p.Policy.ReorderPoint)}
	}
	c.drawSteps(h.Points)
	c.drawMarks(h)
	c.Levels = c.levels(largest, levelsMax)
	c.Times = c.times(timesApart)
	return c
}

func (c *chart) x(at time.Time) float64 {
	share := float64(at.Sub(c.from)) / float64(c.to.Sub(c.from))
	return tenth(c.Left + min(1, max(0, share))*(c.Right-c.Left))
}

func (c *chart) y(n int64) float64 {
	return tenth(c.Bottom - float64(n)/c.most*(c.Bottom-c.Top))
}

// tenth rounds to what a screen can show.
func tenth(f float64) float64 {
	const tenths = 10
	return math.Round(f*tenths) / tenths
}

// drawSteps draws on hand: it keeps its height until the next change.
func (c *chart) drawSteps(points []restock.StockPoint) {
	if len(points) == 0 {
		return
	}
	var line strings.Builder
	write := func(command string, values ...float64) {
		line.WriteString(command)
		for i, v := range values {
			if i > 0 {
				line.WriteByte(',')
			}
			line.WriteString(strconv.FormatFloat(v, 'f', -1, 64))
		}
	}
	first, last := points[0], points[len(points)-1]
	write("M", c.x(first.At), c.y(first.OnHand))
	for _, p := range points[1:] {
		write("H", c.x(p.At))
		write("V", c.y(p.OnHand))
	}
	write("H", c.Right)
	c.Line = line.String()
	write("V", c.Bottom)
	write("H", c.x(first.At))
	c.Area = line.String() + "Z"
	c.End = mark{X: c.Right, Y: c.y(last.OnHand), At: c.to, Quantity: last.OnHand}
}

func (c *chart) drawMarks(h restock.StockHistory) {
	for _, s := range h.Stockouts {
		end := s.ClosedAt
		if end.IsZero() {
			end = c.to
		}
		x := c.x(s.OpenedAt)
		c.Bands = append(c.Bands, band{X: x, Width: tenth(max(bandWidthMin, c.x(end)-x)), Stockout: s})
	}
	for _, o := range h.Orders {
		c.Orders = append(c.Orders, mark{X: c.x(o.CreatedAt), Y: c.Bottom, At: o.CreatedAt, Quantity: o.Quantity})
	}
	for _, a := range h.Arrivals {
		c.Arrivals = append(c.Arrivals, mark{X: c.x(a.At), Y: c.y(onHandAt(h.Points, a.At)), At: a.At, Quantity: a.Quantity})
	}
}

// onHandAt is what was there at a time.
func onHandAt(points []restock.StockPoint, at time.Time) int64 {
	n := int64(0)
	for _, p := range points {
		if p.At.After(at) {
			break
		}
		n = p.OnHand
	}
	return n
}

// levels are the lines of round numbers.
func (c *chart) levels(largest int64, most int) []level {
	step := roundStep(largest, most)
	var all []level
	for n := int64(0); n <= largest; n += step {
		all = append(all, level{At: c.y(n), Text: number(n)})
	}
	return all
}

// roundStep is the least of 1, 2, 5, 10, 20, 50 … with which most steps reach n.
func roundStep(n int64, most int) int64 {
	const ten = 10
	for scale := int64(1); ; scale *= ten {
		for _, step := range []int64{1, 2, 5} {
			if n/(step*scale) < int64(most) {
				return step * scale
			}
		}
	}
}

// times are the lines of round times, with the hour, or the day where one begins.
func (c *chart) times(apart float64) []level {
	const day = 24 * time.Hour
	most := max(1, int64((c.Right-c.Left)/apart))
	step := roundSpan(c.to.Sub(c.from), most)
	layout := "15:04"
	switch {
	case step >= day:
		layout = "01-02"
	case step < time.Minute:
		layout = time.TimeOnly
	}
	local := c.from.In(c.zone)
	midnight := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, c.zone)
	var all []level
	for at := midnight.Add(local.Sub(midnight).Truncate(step)); at.Before(c.to); at = at.Add(step) {
		if at.Before(c.from) {
			continue
		}
		text := at.Format(layout)
		if step < day && at.Hour() == 0 && at.Minute() == 0 && at.Second() == 0 {
			text = at.Format("01-02")
		}
		all = append(all, level{At: c.x(at), Text: text})
	}
	return all
}

// roundSpan is the least round length of time of which most fill a span.
func roundSpan(whole time.Duration, most int64) time.Duration {
	const day = 24 * time.Hour
	for _, step := range []time.Duration{
		time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
		day, 2 * day, 7 * day, 14 * day, 30 * day, 90 * day, 365 * day,
	} {
		if int64(whole/step) <= most {
			return step
		}
	}
	return whole
}

// Sizes gives the box of the drawing.
func (c chart) Sizes() string { return fmt.Sprintf("0 0 %d %d", c.Width, c.Height) }

// Lowest and Highest are told to those who do not see the drawing.
func (d *productData) Lowest() int64 {
	low := int64(math.MaxInt64)
	for _, p := range d.History.Points {
		low = min(low, p.OnHand)
	}
	return low
}

// Highest is the most that was on hand.
func (d *productData) Highest() int64 {
	high := int64(0)
	for _, p := range d.History.Points {
		high = max(high, p.OnHand)
	}
	return high
}
