package story_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// stageCommands are the commands that the stories have beside those of
// testscript. NAME is server or factory.
func stageCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		// serve [FLAG…]: run restock serve on $RESTOCK_DATA and a free port, and
		// wait until it is ready. Sets $SERVER, $ADMIN (addresses) and $TOKEN.
		"serve": act((*stage).serve),
		// serve-as ROLES [FLAG…]: the same with some roles only, in one process.
		"serve-as": act((*stage).serveAs),
		// noserve [FLAG…]: restock serve on a free port must give up by itself, with
		// status 1; stderr says why.
		"noserve": act((*stage).noserve),
		// factory [FLAG…]: run restock factory on a free port. Sets $FACTORY.
		"factory": act((*stage).factory),
		// halt NAME: SIGTERM; it must exit with status 0. (stop ends a story early.)
		"halt": act((*stage).halt),
		// signal NAME TERM|STOP|CONT: send a signal and do not wait.
		"signal": act((*stage).signal),
		// ended NAME: wait for the end of a process that was signalled.
		"ended": act((*stage).ended),

		// broker stop|start: the engine that has the messages goes away, and comes back.
		"broker": act((*stage).broker),

		// maker: open a factory that only takes orders. Sets $MAKER.
		"maker": act((*stage).openMaker),
		// order N: wait until the maker has N orders, and no more; stdout is the
		// last of them, and stderr the trace that it came with. Sets $CALLBACK.
		"order": act((*stage).order),

		// post: open a mail server. Sets $POST.
		"post": act((*stage).openPost),
		// mailbox ADDRESS known|unknown: whether the mail server knows an address.
		"mailbox": act((*stage).mailbox),
		// letter ADDRESS N: wait for the Nth letter to an address; stdout has it.
		"letter": act((*stage).letter),
		// eml KIND N [TEXT]: the same for the .eml files in $RESTOCK_DATA/mail, of those
		// that say TEXT.
		"eml": act((*stage).eml),

		// hook open: receive webhooks. Sets $HOOK, and writes the file hook-secret.
		// hook down|up: whether it takes them. hook tried N: wait until one was tried
		// N times. hook N: wait for the Nth that was taken; stdout has it. hook secret
		// SECRET: from now on they are verified with this one.
		"hook": act((*stage).hookCommand),

		// http [-H 'NAME: VALUE']… [-n TIMES] METHOD URL [BODY|@FILE]: stdout is the
		// answer's body. TIMES clients do it at once, and all get the same status.
		"http": act((*stage).http),
		// begin METHOD URL BODY: send a request up to the middle of its body.
		"begin": act((*stage).begin),
		// finish: send the rest of it, and read its answer.
		"finish": act((*stage).finish),
		// refuses URL: wait until nobody accepts connections there.
		"refuses": act((*stage).refuses),
		// status CODE: of the last answer.
		"status": act((*stage).status),
		// json WANT|@FILE: the last answer is this JSON exactly. <uuid>, <time> and
		// <text> stand for what cannot be known.
		"json": act((*stage).json),
		// header NAME [VALUE]: of the last answer; no VALUE means that it is absent.
		"header": act((*stage).header),

		// field PATH VALUE: of the JSON on the last standard output; a.0.b goes
		// deeper, len is a length.
		"field": act((*stage).field),
		// capture VARIABLE PATH: keep such a value in the environment.
		"capture": act((*stage).capture),
		// until PATH FIELD VALUE: ask the operator's API until a field has a value.
		"until": act((*stage).until),
		// logged ROLE TRACE PATTERN: wait until a line in the log of a role has that
		// trace and matches.
		"logged": act((*stage).logged),
		// quiet: wait until no message and no order is under way.
		"quiet": act((*stage).quiet),
		// secrets: no log and no mail has the operator's token or a callback's.
		"secrets": act((*stage).secrets),
		// expand FILE NEW: write a file with its $VARIABLES filled in.
		"expand": act((*stage).expand),
		// blob FILE BYTES: make a JSON text of that size.
		"blob": act((*stage).blob),
	}
}

// stage is where one story plays: its processes and those around them.
type stage struct {
	setting   setting
	processes map[string]*process
	started   int
	maker     *maker
	post      *post
	hook      *hook
	begun     *begun
	last      answer
	callbacks []string
}

type stageKey struct{}

// The names of the processes.
const (
	serverName  = "server"
	factoryName = "factory"
)

// setStage is what every story begins with: restock on the path, and a data
// folder that does not exist yet.
func setStage(env *testscript.Env) error { return setStageFor(env, setting{}) }

func setStageFor(env *testscript.Env, arrangement setting) error {
	s := &stage{setting: arrangement, processes: map[string]*process{}}
	env.Values[stageKey{}] = s
	env.Setenv("PATH", filepath.Dir(binary())+string(os.PathListSeparator)+env.Getenv("PATH"))
	env.Setenv("RESTOCK_DATA", filepath.Join(env.WorkDir, "data"))
	env.Vars = append(env.Vars, "TZ=UTC", raceOptions)
	if arrangement.database != "" {
		if err := setDatabase(env, arrangement.database); err != nil {
			return err
		}
	}
	env.Defer(func() {
		if err := s.clear(); err != nil {
			env.T().Log(err)
		}
	})
	return nil
}

// clear ends what the story left running.
func (s *stage) clear() error {
	var errs []error
	for _, p := range s.processes {
		errs = append(errs, p.kill(), p.close())
	}
	if s.begun != nil {
		errs = append(errs, s.begun.conn.Close())
	}
	if s.maker != nil {
		s.maker.server.Close()
	}
	if s.hook != nil {
		s.hook.server.Close()
	}
	if s.post != nil {
		errs = append(errs, s.post.close())
	}
	return errors.Join(errs...)
}

// act makes a command of a method: it cannot be negated, and its error fails the
// story.
func act(do func(*stage, *testscript.TestScript, []string) error) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("this command cannot be negated")
		}
		s, ok := ts.Value(stageKey{}).(*stage)
		if !ok {
			ts.Fatalf("there is no stage")
		}
		ts.Check(do(s, ts, args))
	}
}

func want(args []string, least, most int) error {
	if len(args) < least || len(args) > most {
		return fmt.Errorf("%d arguments, want %d to %d", len(args), least, most)
	}
	return nil
}

func (s *stage) serve(ts *testscript.TestScript, args []string) error {
	args = append(s.arranged(ts), args...)
	if s.setting.apart {
		return s.serveApart(ts, args)
	}
	return s.serveOne(ts, args)
}

func (s *stage) serveAs(ts *testscript.TestScript, args []string) error {
	if len(args) == 0 {
		return errors.New("name the roles")
	}
	args = append(s.arranged(ts), append([]string{"--roles", args[0]}, args[1:]...)...)
	return s.serveOne(ts, args)
}

// arranged is the flags that the arrangement of the story gives to a server.
func (s *stage) arranged(ts *testscript.TestScript) []string {
	var flags []string
	if s.setting.engine != nil {
		flags = append(flags, "--queue", s.setting.engine.url)
	}
	if s.setting.database != "" {
		flags = append(flags, "--db", s.setting.database, "--callback-keys-file", ts.MkAbs(sharedKeys))
	}
	return flags
}

func (s *stage) serveOne(ts *testscript.TestScript, args []string) error {
	p, err := s.launch(ts, serverName, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...))
	if err != nil {
		return err
	}
	if err := p.awaitReady(context.Background()); err != nil {
		return err
	}
	s.introduce(ts, p.url)
	_, err = io.WriteString(ts.Stdout(), p.said())
	return err //nolint:wrapcheck // a strings.Builder.
}

func (*stage) noserve(ts *testscript.TestScript, args []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, binary(), append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	command.Dir, command.Env = ts.MkAbs("."), environment(ts)
	command.Stdout, command.Stderr = ts.Stdout(), ts.Stderr()
	err := command.Run()
	if command.ProcessState.ExitCode() != 1 {
		return fmt.Errorf("want exit status 1, not %w", err)
	}
	return nil
}

// environment is the story's own, without what configures the tests.
func environment(ts *testscript.TestScript) []string {
	env := userEnvironment()
	if s, ok := ts.Value(stageKey{}).(*stage); ok && s.setting.engine != nil {
		env = append(env, s.setting.engine.environment...)
	}
	return append(env, "RESTOCK_DATA="+ts.Getenv("RESTOCK_DATA"), "TZ=UTC")
}

func (s *stage) factory(ts *testscript.TestScript, args []string) error {
	p, err := s.launch(ts, factoryName, append([]string{"factory", "--listen", "127.0.0.1:0"}, args...))
	if err != nil {
		return err
	}
	ts.Setenv("FACTORY", p.url)
	return nil
}

// launch starts a process with the story's environment.
func (s *stage) launch(ts *testscript.TestScript, name string, args []string) (*process, error) {
	if s.processes[name] != nil {
		return nil, fmt.Errorf("%s runs already", name)
	}
	p, err := s.start(ts, name, args)
	if err != nil {
		return nil, err
	}
	s.processes[name] = p
	return p, nil
}

func (s *stage) start(ts *testscript.TestScript, name string, args []string) (*process, error) {
	s.started++
	log := ts.MkAbs(fmt.Sprintf("%s-%d.log", name, s.started))
	return start(context.Background(), log, ts.MkAbs("."), environment(ts), args...)
}

func (s *stage) named(args []string) (*process, error) {
	if len(args) == 0 || s.processes[args[0]] == nil {
		return nil, fmt.Errorf("name a process that runs, not %q", args)
	}
	return s.processes[args[0]], nil
}

func (s *stage) halt(_ *testscript.TestScript, args []string) error {
	p, err := s.named(args)
	if err != nil {
		return err
	}
	delete(s.processes, args[0])
	return p.stop()
}

func (s *stage) signal(_ *testscript.TestScript, args []string) error {
	p, err := s.named(args)
	if err != nil || len(args) != 2 {
		return errors.Join(err, want(args, 2, 2))
	}
	signals := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT}
	return p.signal(signals[args[1]])
}

func (s *stage) ended(_ *testscript.TestScript, args []string) error {
	p, err := s.named(args)
	if err != nil {
		return err
	}
	delete(s.processes, args[0])
	return p.awaitEnd()
}

func (s *stage) broker(_ *testscript.TestScript, args []string) error {
	if err := want(args, 1, 1); err != nil {
		return err
	}
	if args[0] == "start" {
		return s.setting.engine.start()
	}
	return s.setting.engine.stop()
}

func (s *stage) openMaker(ts *testscript.TestScript, _ []string) error {
	s.maker = openMaker()
	ts.Setenv("MAKER", s.maker.server.URL)
	return nil
}
