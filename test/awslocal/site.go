package awslocal

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/restock/restock/internal/factory"
	"github.com/restock/restock/test/blackbox"
	"github.com/restock/restock/test/emulators"
	"github.com/restock/restock/test/servers"
)

// TemplatePath is where the template is, from the folder of this package.
const TemplatePath = "../../deploy/aws/template.yaml"

// Site is everything that clouds share: the emulators, the database server, the
// built program and a factory.
type Site struct {
	Machines

	Folder string
	stop   []func()
	n      atomic.Int64
}

// StartSite starts what clouds need.
func StartSite(ctx context.Context) (*Site, error) {
	folder, err := os.MkdirTemp("", "restock-aws-*")
	if err != nil {
		return nil, err
	}
	s := &Site{Folder: folder}
	s.stop = append(s.stop, func() { os.RemoveAll(folder) })
	if s.Messages, err = emulators.SNSSQS(); err != nil {
		return s, err
	}
	if s.Mail, err = emulators.SES(); err != nil {
		return s, err
	}
	var stop func()
	if s.Database, stop, err = servers.StartMariaDB(); err != nil {
		return s, err
	}
	s.stop = append(s.stop, stop)
	s.Bootstrap, err = blackbox.Build(ctx, folder, "")
	return s, err
}

// Close ends it.
func (s *Site) Close() {
	for _, stop := range slices.Backward(s.stop) {
		stop()
	}
}

// leadTime is how long the factory's simulator works at an order.
const leadTime = 100 * time.Millisecond

// OpenFactory opens a simulated factory with our own before it.
func (*Site) OpenFactory(ctx context.Context) (f *Factory, address string, stop func(), err error) {
	simulator := factory.NewSimulator(factory.SimulatorConfig{LeadTime: leadTime, CallbackTimeout: patience})
	f = NewFactory(simulator)
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", nil, err
	}
	f.Self = "http://" + l.Addr().String()
	server := &http.Server{Handler: f}
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = simulator.Run(running)
	}()
	go server.Serve(l)
	return f, f.Self, func() {
		f.Close()
		end()
		server.Close()
		<-ended
	}, nil
}

// Tell deploys a template and tells the story on it.
func (s *Site) Tell(ctx context.Context, template, shipped *Template, say func(string, ...any)) (counts map[string]Counts, err error) {
	f, address, stop, err := s.OpenFactory(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	cloud, err := s.Deploy(ctx, Config{Template: template, Shipped: shipped, Catalog: StoryCatalog(address)})
	if err != nil {
		return nil, err
	}
	defer cloud.Close()
	story := &Story{Cloud: cloud, Factory: f, Say: say}
	err = story.Run(ctx)
	return cloud.Counts(), err
}

// Deploy deploys a template under a name of its own.
func (s *Site) Deploy(ctx context.Context, cfg Config) (*Cloud, error) {
	name := fmt.Sprintf("r%dx%d", os.Getpid(), s.n.Add(1))
	cfg.Machines, cfg.Folder = s.Machines, filepath.Join(s.Folder, name)
	if cfg.Parameters == nil {
		cfg.Parameters = Parameters()
	}
	if err := os.MkdirAll(cfg.Folder, 0o700); err != nil {
		return nil, err
	}
	cloud, err := Deploy(ctx, cfg, name)
	if err != nil && cloud != nil {
		if fault := cloud.Fault(); fault != nil {
			err = errors.Join(err, fault)
		}
	}
	return cloud, err
}

// Hunt lets the story fail on a mutant, and says whether it named what is missing.
func (s *Site) Hunt(ctx context.Context, m Mutant, shipped *Template) (why string, caught bool) {
	_, err := s.Tell(ctx, m.Template, shipped, nil)
	if err == nil {
		return "the story was told to its end", false
	}
	for _, name := range m.Names {
		if !strings.Contains(err.Error(), name) {
			return err.Error(), false
		}
	}
	return err.Error(), true
}
