package s3

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
	"github.com/mekcloud/mek/internal/objectstore/store"
)

func TestSizesOfParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.SampledFrom([]int64{0, 5 << 20, 17}), 1, 40).Draw(t, "sizes")
		if got := readSizes(writeSizes(sizes)); !slices.Equal(got, sizes) {
			t.Fatalf("%v came back of %v", got, sizes)
		}
	})
	for _, bad := range []string{"x", "5*", "5*0", "-1", "5*20000", "5,,5"} {
		if got := readSizes(bad); got != nil {
			t.Errorf("%q reads as %v", bad, got)
		}
	}
}

func TestNamesOfUploads(t *testing.T) {
	id := strings.Repeat("0a", 16)
	for name, want := range map[string]string{
		"k/" + id: "k 0", "a/b/" + id: "a/b 0", "a/b/" + id + "/00012": "a/b 12", "k/" + id + "/00000": "", id: "", "/" + id: "", "k": "", "k/" + id + "/12345/00001": "", "k/12345": "",
	} {
		key, got, part, ok := ofUpload(name)
		text := ""
		if ok {
			text = fmt.Sprint(key, " ", part)
		}
		if text != want || ok && got != id {
			t.Errorf("%q is %q of %q, want %q", name, text, got, want)
		}
	}
}

// A captured request can be sent again for five minutes, not for fifteen.
func TestReplays(t *testing.T) {
	var r replays
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	one, two := sha256.Sum256([]byte("1")), sha256.Sum256([]byte("2"))
	for _, step := range []struct {
		digest [32]byte
		after  time.Duration
		want   bool
	}{{one, 0, true}, {one, 4 * time.Minute, true}, {two, 4 * time.Minute, true}, {one, 5 * time.Minute, false}, {one, 14 * time.Minute, false}, {one, 30 * time.Minute, false}, {one, 24 * time.Hour, true}} {
		if got := r.first(step.digest, now.Add(step.after)); got != step.want {
			t.Errorf("after %v: %v", step.after, got)
		}
	}
	for i := range 2 * replayMost {
		r.first(sha256.Sum256(fmt.Append(nil, i)), now.Add(25*time.Hour))
	}
	kept := 0
	for _, g := range r.generations {
		kept += len(g)
	}
	if kept > replayMost {
		t.Errorf("%d signatures are kept", kept)
	}
}

func TestNamesOfBuckets(t *testing.T) {
	for name, want := range map[string]bool{"abc": true, "a.b-c": true, "ab": false, "a..b": false, "a.-b": false, "a-.b": false, "Abc": false, "10.0.0.1": false,
		"1.2.3": true, "box+segments": false, strings.Repeat("a", 63): true, strings.Repeat("a", 64): false} {
		if validBucket(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

func TestWhatIsMine(t *testing.T) {
	s := &Server{}
	for target, want := range map[string]bool{"/": true, "/bucket/key": true, "/v1/AUTH_x/c": false, "/info": false, "/v1/AUTH_x?X-Amz-Signature=1": true, "/healthcheck": false} {
		if got := s.mine(httptest.NewRequest("GET", target, nil)); got != want {
			t.Errorf("%s: %v", target, got)
		}
	}
	r := httptest.NewRequest("GET", "/bucket", nil)
	r.Header.Set("X-Auth-Token", "t")
	if s.mine(r) {
		t.Error("a request with a token is Swift's")
	}
}

func newStore(t *testing.T, c clock.Clock) *store.Store {
	t.Helper()
	s := store.New(store.Config{Dir: t.TempDir(), Clock: c})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Parts of uploads that have ended go once they are old; those of others, and
// what somebody else put there, stay.
func TestLeftovers(t *testing.T) {
	ctx, at := context.Background(), clock.NewFake(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	st := newStore(t, at)
	s := New(Deps{Store: st, Clock: at, Log: slog.New(slog.DiscardHandler)})
	const account = "AUTH_p"
	live, ended := strings.Repeat("a", 32), strings.Repeat("b", 32)
	for _, c := range []string{"box", "box+segments", "gone+segments", "mixed+segments"} {
		if _, _, err := st.PutContainer(ctx, account, c, func(*objectstore.Container, bool) error { return nil }, event.Record{}); err != nil {
			t.Fatal(err)
		}
	}
	put := func(container, name string) {
		t.Helper()
		_, err := st.Put(ctx, objectstore.Put{Key: objectstore.Key{Account: account, Container: container, Name: name}, Size: -1}, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
	}
	names := func(container string) string {
		t.Helper()
		page, err := st.Objects(ctx, account, container, objectstore.Listing{Limit: 100})
		if err != nil {
			return "no container"
		}
		var out []string
		for _, e := range page {
			out = append(out, strings.NewReplacer(live, "LIVE", ended, "ENDED").Replace(e.Object.Name))
		}
		return strings.Join(out, " ")
	}
	for _, n := range []string{"k/" + live, "k/" + live + "-x/" + live, "k/" + live + "/00001", "k/" + ended + "/00001", "k/" + ended + "/00002", "other"} {
		put("box+segments", n)
	}
	put("gone+segments", "k/"+live)
	put("gone+segments", "k/"+live+"/00001")
	put("mixed+segments", "k/"+live+"/00001")
	put("mixed+segments", "mine")
	run := s.Reconcilers()[0].Run
	if err := run(ctx); err != nil {
		t.Fatal(err)
	}
	before := "k/LIVE k/LIVE-x/LIVE k/LIVE/00001 k/ENDED/00001 k/ENDED/00002 other"
	if got := names("box+segments"); got != before {
		t.Errorf("young parts are %q, want %q", got, before)
	}
	at.Advance(leftoverAge + time.Minute)
	put("box+segments", "k/"+ended+"/00003")
	if err := run(ctx); err != nil {
		t.Fatal(err)
	}
	for container, want := range map[string]string{"box+segments": "k/LIVE k/LIVE-x/LIVE k/LIVE/00001 k/ENDED/00003 other", "gone+segments": "no container", "mixed+segments": "mine"} {
		if got := names(container); got != want {
			t.Errorf("%s holds %q, want %q", container, got, want)
		}
	}
}

func TestQuota(t *testing.T) {
	headers := func(kv ...string) objectstore.Headers { return objectstore.Headers{kv[0]: kv[1]} }
	for name, c := range map[string]struct {
		account, bucket objectstore.Headers
		current         *objectstore.Object
		ok              bool
	}{
		"none":          {nil, nil, nil, true},
		"bytes":         {nil, headers("X-Container-Meta-Quota-Bytes", "109"), nil, false},
		"enough bytes":  {nil, headers("X-Container-Meta-Quota-Bytes", "110"), nil, true},
		"replaced":      {nil, headers("X-Container-Meta-Quota-Bytes", "105"), &objectstore.Object{Size: 5}, true},
		"count":         {nil, headers("X-Container-Meta-Quota-Count", "1"), nil, false},
		"same count":    {nil, headers("X-Container-Meta-Quota-Count", "1"), &objectstore.Object{Size: 5}, true},
		"account bytes": {headers("X-Account-Meta-Quota-Bytes", "1009"), nil, nil, false},
		"nonsense":      {headers("X-Account-Meta-Quota-Bytes", "many"), nil, nil, true},
	} {
		err := withinQuota(&objectstore.Account{Bytes: 1000, Headers: c.account}, &objectstore.Container{Objects: 1, Bytes: 100, AllBytes: 100, Headers: c.bucket}, c.current, 10)
		if (err == nil) != c.ok || err != nil && failure.As(err).Status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %v", name, err)
		}
	}
}
