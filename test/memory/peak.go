// Package memory reads how much memory processes take.
package memory

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Peak is the largest resident set that a process has had, in bytes, from Linux's /proc.
func Peak(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("peak memory: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("peak memory: no VmHWM in /proc")
}
