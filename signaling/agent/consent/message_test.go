package consent_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/pion/stun/v4"

	"tourbillon/signaling/agent/consent"
)

var ours = consent.Credentials{LocalUfrag: "local", RemoteUfrag: "remote", RemotePassword: "password of the peer", TieBreaker: 7}

// TestRequest reads a check as a peer does.
func TestRequest(t *testing.T) {
	raw, err := ours.Request(number(9))
	if err != nil {
		t.Fatal(err)
	}
	m := stun.Message{Raw: raw}
	if err := m.Decode(); err != nil {
		t.Fatal(err)
	}
	var name stun.Username
	if err := name.GetFrom(&m); err != nil || name.String() != "remote:local" {
		t.Errorf("user name %q, %v", name, err)
	}
	if err := errors.Join(stun.NewShortTermIntegrity(ours.RemotePassword).Check(&m), stun.Fingerprint.Check(&m)); err != nil {
		t.Error(err)
	}
	if !m.Contains(stun.AttrICEControlled) || m.Contains(stun.AttrICEControlling) || !m.Contains(stun.AttrPriority) || m.Contains(stun.AttrUseCandidate) {
		t.Errorf("attributes %v", m.Attributes)
	}
	if consent.KindOf(raw) != consent.Request || consent.TransactionOf(raw) != number(9) {
		t.Error("its header is not that of our request")
	}
}

func answer(t testing.TB, password string, setters ...stun.Setter) []byte {
	t.Helper()
	m, err := stun.Build(append([]stun.Setter{stun.NewTransactionIDSetter(number(9))}, append(setters,
		stun.NewShortTermIntegrity(password), stun.Fingerprint)...)...)
	if err != nil {
		t.Fatal(err)
	}
	return m.Raw
}

func TestVerify(t *testing.T) {
	good := answer(t, ours.RemotePassword, stun.BindingSuccess)
	if err := ours.Verify(good); err != nil {
		t.Errorf("a good answer: %v", err)
	}
	flipped := slices.Clone(good)
	flipped[10] ^= 1
	unsigned, err := stun.Build(stun.BindingSuccess, stun.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		datagram []byte
		want     error
	}{
		"of another password":  {answer(t, "something else", stun.BindingSuccess), consent.ErrForged},
		"without a signature":  {unsigned.Raw, consent.ErrForged},
		"changed on its way":   {flipped, consent.ErrForged},
		"cut short":            {good[:len(good)-9], consent.ErrForged},
		"a signed error":       {answer(t, ours.RemotePassword, stun.BindingError, stun.CodeForbidden), consent.ErrRefused},
		"our request, echoed":  {answer(t, ours.RemotePassword, stun.BindingRequest), consent.ErrRefused},
		"nothing":              {nil, consent.ErrForged},
		"a header and no more": {good[:20], consent.ErrForged},
	} {
		if err := ours.Verify(row.datagram); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", name, err, row.want)
		}
	}
	if err := (consent.Credentials{}).Verify(answer(t, "", stun.BindingSuccess)); !errors.Is(err, consent.ErrForged) {
		t.Errorf("an answer under no password: %v", err)
	}
}

func TestKindOf(t *testing.T) {
	good := answer(t, ours.RemotePassword, stun.BindingSuccess)
	for want, datagram := range map[consent.Kind][]byte{
		consent.Answer:     good,
		consent.Indication: answer(t, "", stun.NewType(stun.MethodBinding, stun.ClassIndication)),
		consent.Request:    answer(t, "", stun.BindingRequest),
		consent.Other:      answer(t, "", stun.NewType(stun.MethodAllocate, stun.ClassSuccessResponse)),
	} {
		if got := consent.KindOf(datagram); got != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
	dtls := append([]byte{22, 254, 253}, good...)
	for _, junk := range [][]byte{nil, good[:19], dtls} {
		if got := consent.KindOf(junk); got != consent.Other {
			t.Errorf("%x is %v", junk, got)
		}
	}
}

// FuzzVerify holds that nothing but what the password signed counts.
func FuzzVerify(f *testing.F) {
	good := answer(f, ours.RemotePassword, stun.BindingSuccess)
	f.Add(good)
	f.Add(good[:24])
	f.Add(answer(f, "x", stun.BindingError, stun.CodeRoleConflict))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		before := slices.Clone(datagram)
		err := ours.Verify(datagram)
		if !slices.Equal(before, datagram) {
			t.Error("the datagram was changed")
		}
		signed := len(datagram) >= len(good)-8 && slices.Equal(datagram[20:len(good)-8], good[20:len(good)-8])
		if err == nil && !signed {
			t.Errorf("%x counts", datagram)
		}
		if consent.KindOf(datagram) != consent.Other {
			_ = consent.TransactionOf(datagram)
		}
	})
}
