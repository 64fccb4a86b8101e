package ads

import (
	"context"
	"maps"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue"
)

// dueSlice is how many looks one transaction takes, and untoldSlice how many
// advertisements one sweep looks at.
const (
	dueSlice    = 100
	untoldSlice = 1000
)

// RunSweep has everybody looked at who became due, until ctx ends: what was held
// back by the spacing, reminders, and questions for operations. Less often it
// finds what was missed. It only sends messages, so that a mail that fails is
// tried again, and given up, as any other. Several processes may do so.
func (d *Desk) RunSweep(ctx context.Context) error {
	missed := missed{}
	nextSweep := d.cfg.Now().Add(d.cfg.SweepInterval)
	for queue.Sleep(ctx, min(d.cfg.LookInterval, d.cfg.SweepInterval)) {
		if err := d.publishDue(ctx); err != nil && ctx.Err() == nil {
			d.cfg.Logger.ErrorContext(ctx, "mails to ad managers that are due were not found; trying again", keyError, err)
		}
		if now := d.cfg.Now(); !now.Before(nextSweep) {
			nextSweep = now.Add(d.cfg.SweepInterval)
			if err := d.sweep(ctx, missed); err != nil && ctx.Err() == nil {
				d.cfg.Logger.ErrorContext(ctx, "a sweep of the advertisements failed; trying again", keyError, err)
			}
		}
	}
	return nil
}

func (d *Desk) publishDue(ctx context.Context) error {
	for {
		n, err := d.store.PublishDueAds(ctx, dueSlice)
		if err != nil || n < dueSlice {
			return err
		}
	}
}

// missed are the advertisements whose managers should have been told something
// at the last sweep: true when a message was sent for it since.
type missed map[restock.AdvertisementID]bool

// sweep sends a message for each that it finds at two sweeps in a row: at the
// first an event may just be on its way. It sends one only, however long that
// takes.
func (d *Desk) sweep(ctx context.Context, before missed) error {
	untold, err := d.store.UntoldAds(ctx, untoldSlice, d.Turn)
	if err != nil {
		return err
	}
	found := missed{}
	for _, id := range untold {
		sent, again := before[id]
		if again && !sent {
			if err := d.store.PublishAdDue(ctx, id); err != nil {
				return err
			}
			d.cfg.Logger.WarnContext(ctx, "no event told what an ad manager has to know", keyAd, id)
			sent = true
		}
		found[id] = sent
	}
	clear(before)
	maps.Copy(before, found)
	return nil
}
