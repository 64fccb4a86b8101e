package awslocal

import (
	"slices"
)

// Parts are those of a template that a story has to see at work.
func Parts(s *Stack) []string {
	var all []string
	for _, r := range s.made(typeSubscription, typeQueuePolicy, typeQueue, typeRoute, typePermission, typeMailSet, typeMailIdentity, typeMailEvents, typeTopicPolicy, typeFunction) {
		switch r.Type {
		case typeFunction:
			for name := range object(r.Properties["Events"]) {
				all = append(all, r.ID+"."+name)
			}
		case typeSubscription:
			if text(r.Properties["Protocol"]) != "sqs" {
				continue
			}
			all = append(all, r.ID, r.ID+redriveSuffix)
			if r.Properties["FilterPolicy"] != nil {
				all = append(all, r.ID+filterSuffix)
			}
		case typeQueue:
			if r.Properties["RedrivePolicy"] != nil {
				all = append(all, r.ID+redriveSuffix)
			}
		default:
			all = append(all, r.ID)
		}
	}
	slices.Sort(all)
	return all
}

// Idle are the parts of the template as it is shipped, and the rights of its
// roles, that were not at work.
func (c *Cloud) Idle() []string {
	c.seeFilters()
	var idle []string
	for _, part := range Parts(c.shipped) {
		if !c.Seen(part) {
			idle = append(idle, part)
		}
	}
	c.guard.mu.Lock()
	defer c.guard.mu.Unlock()
	for _, g := range grants(c.shipped.Template) {
		if !c.guard.used[g] {
			idle = append(idle, g.String())
		}
	}
	return idle
}

// seeFilters notes the filters that kept something back.
func (c *Cloud) seeFilters() {
	for _, r := range c.stack.made(typeSubscription) {
		policy := c.stack.get(r, "FilterPolicy")
		if policy == nil {
			continue
		}
		c.mu.Lock()
		for kind := range c.topics[c.stack.text(r, "TopicArn")] {
			n := note{attributes: map[string]string{"type": kind}}
			if !passes(policy, n) && !c.arrived[c.stack.text(r, "Endpoint")][kind] {
				c.seen[r.ID+filterSuffix] = true
			}
		}
		c.mu.Unlock()
	}
}
