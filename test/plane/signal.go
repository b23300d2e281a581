package plane

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Signal sends a signal to a program of the plane, etcd or kube-apiserver, such as SIGSTOP and SIGCONT to pause it. It needs
// Linux, where the arguments of processes can be read.
func (p *Plane) Signal(program string, signal syscall.Signal) error {
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return fmt.Errorf("find %s: %w", program, err)
	}
	for _, path := range paths {
		arguments, err := os.ReadFile(path)
		if err != nil {
			continue // it ended meanwhile
		}
		name, rest, _ := bytes.Cut(arguments, []byte{0})
		// The folder of the plane is in the arguments of its own programs, and in nobody else's.
		if string(name) != filepath.Join(p.assets, program) || !bytes.Contains(rest, []byte(p.dir+"/")) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return fmt.Errorf("find %s: %w", program, err)
		}
		if err := syscall.Kill(pid, signal); err != nil {
			return fmt.Errorf("signal %s: %w", program, err)
		}
		return nil
	}
	return fmt.Errorf("signal %s: %w", program, errors.New("it does not run"))
}
