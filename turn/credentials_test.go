package turn

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v4"
)

func TestCredentialVectors(t *testing.T) {
	const secret, realm = "tourbillon-test-secret", "tourbillon"
	for _, row := range []struct{ username, password, key string }{
		{"1735412345", "im+Ow4x63NDzmMCUe5o0OAFI73o=", "5395e180d7b25ac57c037872eb26834f"},
		{"1735412345:alice", "TJ7a30eVFe31oxKClWeMmwmQt5c=", "f6551b5c8524d1d06732d392ab59f1eb"},
		{"1443779631:@user:example.com", "f6Q5zvMEszq0sxvDiB3t09iTNtw=", "ebbf0ddd727ea8f94b4e8d00f2296d16"},
		{"alice:1735412345", "61tmB6dskqd45TvUW0qoCFmKyQg=", "f7f7e3288ef23011aab2f0966699becc"},
	} {
		if got := password([]byte(secret), row.username); got != row.password {
			t.Errorf("password of %q is %q, want %q", row.username, got, row.password)
		}
		if got := hex.EncodeToString(longTermKey(row.username, realm, row.password)); got != row.key {
			t.Errorf("key of %q is %s, want %s", row.username, got, row.key)
		}
	}
}

func TestParseUsername(t *testing.T) {
	for _, row := range []struct {
		name string
		want Username
		err  error
	}{
		{"1735412345", Username{"1735412345", 1735412345}, nil},
		{"1735412345:alice", Username{"alice", 1735412345}, nil},
		{"1443779631:@user:example.com", Username{"@user:example.com", 1443779631}, nil},
		{"1443779631:42", Username{"42", 1443779631}, nil},
		{"1735412345:", Username{"1735412345:", 1735412345}, nil},
		{"alice:1735412345", Username{"alice:1735412345", 1735412345}, nil},
		{"alice:home:17:18", Username{"alice:home:17:18", 17}, nil},
		{":17", Username{":17", 17}, nil},
		{"0", Username{"0", 0}, nil},
		{"", Username{}, errUsernameEmpty},
		{":", Username{}, errUsernameUndated},
		{"alice", Username{}, errUsernameUndated},
		{"-17:alice", Username{}, errUsernameUndated},
		{"١٧:alice", Username{}, errUsernameUndated},
		{"99999999999999999999:alice", Username{}, errUsernameOverflow},
		{"17:" + strings.Repeat("a", 505), Username{strings.Repeat("a", 505), 17}, nil},
		{"17:" + strings.Repeat("a", 506), Username{}, errUsernameLong},
	} {
		if got, err := ParseUsername(row.name); got != row.want || err != row.err {
			t.Errorf("ParseUsername(%q) = %+v, %v; want %+v, %v", row.name, got, err, row.want, row.err)
		}
	}
}

func FuzzParseUsername(f *testing.F) {
	for _, seed := range []string{"17", "17:a", "a:17", "17:@u:h", ":", "", "a:b:17", "17:"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got, err := ParseUsername(name)
		if err != nil {
			if got != (Username{}) {
				t.Fatalf("%q: %+v with error %v", name, got, err)
			}
			return
		}
		if got.User == "" || !strings.HasSuffix(name, got.User) || got.Expires < 0 {
			t.Fatalf("%q: %+v", name, got)
		}
		if first, _, _ := strings.Cut(name, ":"); got.User == name && !allDigits(first) &&
			!strings.Contains(name, ":") {
			t.Fatalf("%q: %+v without a time", name, got)
		}
	})
}

func TestIssuedCredentialVerifies(t *testing.T) {
	now := time.Unix(1735412345, 0)
	issuer := NewIssuer([]byte("s"), DefaultTTL)
	ring := newKeyring("tourbillon", [][]byte{[]byte("s")}, nil)
	for user, want := range map[string]string{
		"alice":                  "alice",
		"@u:example.com":         "@u:example.com",
		"":                       strconv.FormatInt(now.Unix()+300, 10),
		strings.Repeat("é", 300): strings.Repeat("é", 244),
	} {
		c := issuer.Issue(user, now)
		if len(c.Username) > maxUsernameBytes || c.TTL != 300*time.Second || !c.Expires.Equal(now.Add(300*time.Second)) {
			t.Errorf("issued %+v for %q", c, user)
		}
		for _, row := range []struct {
			after  time.Duration
			method stun.Method
			want   authFailure
		}{
			{0, stun.MethodAllocate, authOK},
			{300 * time.Second, stun.MethodAllocate, authOK},
			{301 * time.Second, stun.MethodAllocate, authExpired},
			{time.Hour, stun.MethodRefresh, authOK},
			{time.Hour, stun.MethodChannelBind, authOK},
		} {
			name, failure := ring.judge(c.Username, "tourbillon", row.method, now.Add(row.after))
			if failure != row.want || failure == authOK && name.User != want {
				t.Errorf("%q %v after %v: %+v %q, want %q", user, row.method, row.after, name, failure, row.want)
			}
		}
	}
	if _, failure := ring.judge("17", "elsewhere", stun.MethodRefresh, now); failure != authRealm {
		t.Errorf("a foreign realm: %q", failure)
	}
	if _, failure := ring.judge("alice", "tourbillon", stun.MethodRefresh, now); failure != authMalformed {
		t.Errorf("an undated name: %q", failure)
	}
}

func TestKeyringMatchesAnySecret(t *testing.T) {
	secrets := [][]byte{[]byte("new"), []byte("old"), []byte("older")}
	ring := newKeyring("tourbillon", secrets, nil)
	for i, secret := range secrets {
		name := "17:alice"
		packet := stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodRefresh, stun.ClassRequest),
			stun.NewUsername(name), stun.NewRealm("tourbillon"), stun.NewNonce("n"),
			stun.MessageIntegrity(longTermKey(name, "tourbillon", password(secret, name)))).Raw
		var m message
		if !m.decode(packet) {
			t.Fatal("not decoded")
		}
		want := longTermKey(name, "tourbillon", password(secret, name))
		wrong := newKeyring("tourbillon", [][]byte{[]byte("x")}, nil)
		var cache keyCache
		for range 2 { // The second time from the cache.
			if key := cache.verify(ring, name, &m.Message); !bytes.Equal(key, want) {
				t.Errorf("secret %d: key %x, want %x", i, key, want)
			}
		}
		if key := cache.verify(wrong, name, &m.Message); key != nil {
			t.Errorf("secret %d verifies in another ring", i)
		}
	}
}
