package timing

import (
	"fmt"
	"io/fs"
	"path"
	"time"

	"golang.org/x/sys/unix"
)

// maxFIFOPriority is the highest SCHED_FIFO priority (sched(7)).
const maxFIFOPriority = 99

// initialUserNamespace is how /proc/self/ns/user reads outside any user namespace (linux/nsfs.h, USER_NS_INIT_INO).
const initialUserNamespace = "user:[4026531837]"

func hostTimerSlack() time.Duration {
	slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil {
		return UnknownSlack
	}
	return time.Duration(slack)
}

// readRealTime applies the kernel's rules for SCHED_FIFO without asking for it: CAP_SYS_NICE, which must be held in
// the initial user namespace, or a limit RLIMIT_RTPRIO over 0; both in a control group with real-time bandwidth.
func readRealTime(root fs.FS) RealTime {
	if group, none := withoutRealTimeBandwidth(root); none {
		return RealTime{Why: fmt.Sprintf("the control group %s has no real-time bandwidth (cpu.rt_runtime_us is 0)", group)}
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_RTPRIO, &limit); err != nil {
		limit.Cur = 0
	}
	return grantRealTime(hostCapability(unix.CAP_SYS_NICE), hostUserNamespace(root), limit.Cur)
}

// grantRealTime decides from the capability, the link of the user namespace ("" where unreadable) and RLIMIT_RTPRIO.
func grantRealTime(capable bool, namespace string, limit uint64) RealTime {
	switch {
	case capable && namespace == initialUserNamespace:
		return RealTime{MaxPriority: maxFIFOPriority, Why: "CAP_SYS_NICE"}
	case limit > 0:
		return RealTime{MaxPriority: int(min(limit, maxFIFOPriority)), Why: "RLIMIT_RTPRIO"}
	case capable && namespace == "":
		return RealTime{Why: "CAP_SYS_NICE is held, but in which user namespace is unknown; RLIMIT_RTPRIO is 0"}
	case capable:
		return RealTime{Why: "CAP_SYS_NICE of a user namespace does not count, and RLIMIT_RTPRIO is 0"}
	}
	return RealTime{Why: "neither CAP_SYS_NICE nor RLIMIT_RTPRIO (LimitRTPRIO= in the unit)"}
}

// withoutRealTimeBandwidth reports a version 1 group whose real-time bandwidth is 0: kernels with RT_GROUP_SCHED then
// refuse SCHED_FIFO with EPERM, capability or not. Others have no such file.
func withoutRealTimeBandwidth(root fs.FS) (group string, none bool) {
	place, err := findCPUGroup(root)
	if err != nil || place.version != 1 {
		return "", false
	}
	runtime, err := readHostLine(root, path.Join(place.folder, "cpu.rt_runtime_us"))
	return "/" + place.folder, err == nil && runtime == "0"
}

func hostCapability(number int) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData // Version 3 fills two of 32 capabilities each (capget(2)).
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return false
	}
	return sets[number/32].Effective&(1<<(number%32)) != 0
}

func hostUserNamespace(root fs.FS) string {
	link, err := fs.ReadLink(root, "proc/self/ns/user")
	if err != nil {
		return ""
	}
	return link
}
