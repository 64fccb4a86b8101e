package simulation_test

import (
	"testing"

	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
)

// unsynced names a file system whose files are never synced: what a power cut
// takes away is another test's affair, and here it would be most of the time.
const unsynced = "simulation-unsynced"

type unsyncedDisk struct{ vfs.VFS }

func registerUnsynced(t *testing.T) {
	t.Helper()
	vfs.Register(unsynced, unsyncedDisk{vfs.Find("")})
	t.Cleanup(func() { vfs.Unregister(unsynced) })
}

func (d unsyncedDisk) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, flags, err := vfsutil.WrapOpenFilename(d.VFS, name, flags)
	if err != nil {
		return nil, flags, err
	}
	return unsyncedFile{f}, flags, nil
}

// unsyncedFile has the locks and the shared memory of the real one.
type unsyncedFile struct{ vfs.File }

func (f unsyncedFile) Unwrap() vfs.File { return f.File }

func (f unsyncedFile) SharedMemory() vfs.SharedMemory { return vfsutil.WrapSharedMemory(f.File) }

func (unsyncedFile) Sync(vfs.SyncFlag) error { return nil }
