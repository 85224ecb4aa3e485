package rounds

import (
	"runtime/debug"
	"strings"
)

// PionModules are the versions of the pion modules in this program, by their paths without github.com/.
func PionModules() map[string]string {
	modules := map[string]string{}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return modules
	}
	for _, m := range info.Deps {
		if name, isPion := strings.CutPrefix(m.Path, "github.com/pion/"); isPion {
			modules["pion/"+name] = m.Version
		}
	}
	return modules
}
