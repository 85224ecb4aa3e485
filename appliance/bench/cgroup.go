//go:build linux

package bench

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// quotaPeriod is the period over which the kernel counts a CPU quota: its own default.
const quotaPeriod = 100 * time.Millisecond

// cgroup is a CPU cgroup of our own making.
type cgroup struct{ dir string }

// newCgroup makes a CPU cgroup with a quota in thousandths of a CPU, below this process's own or beside it. Version 1
// and version 2 both serve. The caller removes it.
func newCgroup(millicores int) (*cgroup, error) {
	at, err := findCPUCgroup(os.ReadFile)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("tourbillon-bench-%d-%dm", os.Getpid(), millicores)
	var problems []error
	// In version 2 a group that has processes cannot have groups under it, so that beside is the only place.
	for _, parent := range []string{at.dir, filepath.Dir(at.dir)} {
		group := &cgroup{dir: filepath.Join(parent, name)}
		err := group.make(at.version, millicores)
		if err == nil {
			return group, nil
		}
		problems = append(problems, err)
	}
	return nil, errors.Join(problems...)
}

func (g *cgroup) make(version, millicores int) error {
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return err
	}
	for _, setting := range quotaSettings(version, millicores) {
		if err := os.WriteFile(filepath.Join(g.dir, setting.file), []byte(setting.value), 0o644); err != nil {
			return errors.Join(err, os.Remove(g.dir))
		}
	}
	return nil
}

type cgroupSetting struct{ file, value string }

// quotaSettings are what a group's files are given, in order.
func quotaSettings(version, millicores int) []cgroupSetting {
	period := quotaPeriod.Microseconds()
	quota := period * int64(millicores) / 1000
	if version == 2 {
		return []cgroupSetting{{"cpu.max", fmt.Sprintf("%d %d", quota, period)}}
	}
	return []cgroupSetting{
		{"cpu.cfs_period_us", strconv.FormatInt(period, 10)},
		{"cpu.cfs_quota_us", strconv.FormatInt(quota, 10)},
	}
}

// add moves a process into the group. A nil group leaves it where it is.
func (g *cgroup) add(pid int) error {
	if g == nil {
		return nil
	}
	err := os.WriteFile(filepath.Join(g.dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644)
	if err != nil {
		return fmt.Errorf("move a process into the cgroup: %w", err)
	}
	return nil
}

// remove deletes the group, which must have no process left.
func (g *cgroup) remove() error { return os.Remove(g.dir) }

// cgroupPlace is where this process stands in the hierarchy that has the CPU controller.
type cgroupPlace struct {
	version int
	dir     string
}

// findCPUCgroup finds this process's CPU cgroup in /proc/self; read reads a file.
func findCPUCgroup(read func(string) ([]byte, error)) (cgroupPlace, error) {
	groups, err := read("/proc/self/cgroup")
	if err != nil {
		return cgroupPlace{}, err
	}
	mounts, err := read("/proc/self/mountinfo")
	if err != nil {
		return cgroupPlace{}, err
	}
	own := ownCgroups(string(groups))
	unified := cgroupPlace{}
	for lines := bufio.NewScanner(strings.NewReader(string(mounts))); lines.Scan(); {
		m, ok := parseCgroupMount(lines.Text())
		switch {
		case !ok:
		case m.version == 1:
			// A controller of version 1 is not available to version 2.
			return cgroupPlace{1, filepath.Join(m.point, below(own["cpu"], m.root))}, nil
		default:
			unified = cgroupPlace{2, filepath.Join(m.point, below(own[""], m.root))}
		}
	}
	if unified.dir == "" {
		return unified, errors.New("no cgroup file system is mounted")
	}
	return unified, nil
}

// ownCgroups maps each controller to this process's path in its hierarchy; version 2 has the empty name.
func ownCgroups(text string) map[string]string {
	own := map[string]string{}
	for line := range strings.Lines(text) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		for _, controller := range strings.Split(fields[1], ",") {
			own[controller] = fields[2]
		}
	}
	return own
}

type cgroupMount struct {
	version     int
	root, point string
}

// parseCgroupMount reads one line of mountinfo (proc_pid_mountinfo(5)); ok for a hierarchy that can have the CPU
// controller.
func parseCgroupMount(line string) (m cgroupMount, ok bool) {
	left, right, found := strings.Cut(line, " - ")
	before, after := strings.Fields(left), strings.Fields(right)
	if !found || len(before) < 5 || len(after) < 3 {
		return m, false
	}
	m.root, m.point = before[3], before[4]
	switch after[0] {
	case "cgroup2":
		m.version = 2
		return m, true
	case "cgroup":
		m.version = 1
		return m, strings.Contains(","+after[2]+",", ",cpu,")
	}
	return m, false
}

// below returns a path as seen from a mount of the hierarchy's given root. What lies outside of the mount, or of our
// cgroup namespace, stands for the mount's own root.
func below(path, root string) string {
	relative, err := filepath.Rel(root, path)
	if err != nil || strings.HasPrefix(relative, "..") || strings.HasPrefix(path, "/..") {
		return "/"
	}
	return relative
}
