package turn

import (
	"bytes"
	"testing"
)

// TestFamilyLeavesTheRequest reads REQUESTED-ADDRESS-FAMILY, behind which the request goes on.
func TestFamilyLeavesTheRequest(t *testing.T) {
	request := []byte{familyIPv6, 0, 0, 0, 9, 9}
	x := &transaction{in: message{family: request[:4]}}
	if family, ok := x.family(); family != familyIPv6 || !ok {
		t.Errorf("family %d, %v", family, ok)
	}
	for _, length := range []int{0, 3, 5} {
		x.in.family = request[:length]
		if _, ok := x.family(); ok {
			t.Errorf("a value of %d bytes is a family", length)
		}
	}
	if !bytes.Equal(request, []byte{familyIPv6, 0, 0, 0, 9, 9}) {
		t.Errorf("the request became %x", request)
	}
}
