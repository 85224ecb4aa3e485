package timing

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// cpuGroup is the control group that governs this process's CPU time. Paths are relative to the root, as fs.FS wants.
type cpuGroup struct {
	version int
	// folder is the group's own, mount that of the outermost group that can be seen.
	folder, mount string
}

// findCPUGroup finds the process's own group from the two files of /proc/self that stay visible in a hardened unit
// (cgroups(7)). On hybrid systems the cpu controller is in the version 1 hierarchy, whose line then names it.
func findCPUGroup(root fs.FS) (cpuGroup, error) {
	membership, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return cpuGroup{}, fmt.Errorf("find own control group: %w", err)
	}
	version, name, err := parseMembership(string(membership))
	if err != nil {
		return cpuGroup{}, fmt.Errorf("find own control group: %w", err)
	}
	mounts, err := fs.ReadFile(root, "proc/self/mountinfo")
	if err != nil {
		return cpuGroup{}, fmt.Errorf("find control group mounts: %w", err)
	}
	for line := range strings.Lines(string(mounts)) {
		m, ok := parseMount(line)
		if !ok || !m.governsCPU(version) {
			continue
		}
		group, ok := m.place(version, name)
		if info, err := fs.Stat(root, group.folder); ok && err == nil && info.IsDir() {
			return group, nil
		}
	}
	return cpuGroup{}, fmt.Errorf("find own control group: no mount of version %d shows %s", version, name)
}

// parseMembership reads lines of "hierarchy:controllers:path" and returns the path in the hierarchy of the cpu
// controller. Only version 2 has hierarchy 0 and no controllers.
func parseMembership(text string) (version int, name string, err error) {
	for line := range strings.Lines(text) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		switch {
		case len(fields) < 3:
			return 0, "", fmt.Errorf("malformed line %q in /proc/self/cgroup", line)
		case slices.Contains(strings.Split(fields[1], ","), "cpu"):
			return 1, fields[2], nil
		case fields[0] == "0" && fields[1] == "":
			version, name = 2, fields[2]
		}
	}
	if version == 0 {
		return 0, "", errors.New("/proc/self/cgroup names no hierarchy with the cpu controller")
	}
	return version, name, nil
}

// mountEntry is what matters of a line of /proc/self/mountinfo (proc_pid_mountinfo(5)).
type mountEntry struct {
	// root is the part of the hierarchy that is mounted, point where.
	root, point  string
	kind         string
	superOptions []string
}

// parseMount reads a line of "id parent device root point options optional… - kind source super-options".
func parseMount(line string) (mountEntry, bool) {
	before, after, ok := strings.Cut(line, " - ")
	left, right := strings.Fields(before), strings.Fields(after)
	if !ok || len(left) < 6 || len(right) < 3 {
		return mountEntry{}, false
	}
	return mountEntry{
		root: unescapeMount.Replace(left[3]), point: unescapeMount.Replace(left[4]),
		kind: right[0], superOptions: strings.Split(right[2], ","),
	}, true
}

// unescapeMount undoes the kernel's escapes of space, tab, line feed and backslash.
var unescapeMount = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

func (m mountEntry) governsCPU(version int) bool {
	if version == 2 {
		return m.kind == "cgroup2"
	}
	return m.kind == "cgroup" && slices.Contains(m.superOptions, "cpu")
}

// place finds the named group under the mount; false where the mount shows another part of the hierarchy, as it does
// to a process that was moved out of its namespace ("/../other").
func (m mountEntry) place(version int, name string) (cpuGroup, bool) {
	rest := name
	if m.root != "/" {
		var inside bool
		rest, inside = strings.CutPrefix(name, m.root)
		if !inside || rest != "" && rest[0] != '/' {
			return cpuGroup{}, false
		}
	}
	if slices.Contains(strings.Split(rest, "/"), "..") {
		return cpuGroup{}, false
	}
	mount := path.Clean(strings.TrimPrefix(m.point, "/"))
	return cpuGroup{version: version, folder: path.Join(mount, rest), mount: mount}, true
}
