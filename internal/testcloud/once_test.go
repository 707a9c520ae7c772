package testcloud_test

import (
	"context"
	"net/http"
	"sync"
	"testing"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/rest"
	"github.com/mekcloud/mek/internal/testcloud"
)

// A request under a client's key is carried out once, whoever repeats it and
// whatever became of its first answer.
func TestARequestUnderAKeyHappensOnce(t *testing.T) {
	dbtest.EachOne(t, func(t *testing.T) {
		c := testcloud.New(t)
		volume := func(name string) object { return object{"volume": object{"name": name, "size": 1}} }
		make1 := func(who *testcloud.Client, key string, body object) *testcloud.Answer {
			return who.Do("POST", "/volume/v3/volumes", body, rest.KeyHeader, key)
		}
		first := make1(c.Demo, "k1", volume("a")).Expect(http.StatusAccepted)
		again := make1(c.Demo, "k1", volume("a")).Expect(http.StatusAccepted)
		if string(first.Body) != string(again.Body) || again.Header.Get("Content-Type") != first.Header.Get("Content-Type") {
			t.Errorf("the answers differ: %s and %s", first.Body, again.Body)
		}
		make1(c.Demo, "k1", volume("b")).Expect(http.StatusBadRequest) // another request
		if other := make1(c.Admin, "k1", volume("a")).Expect(http.StatusAccepted); other.String("volume.id") == first.String("volume.id") {
			t.Error("one user's key is another's")
		}
		id := first.String("volume.id")
		lose(t, c.DB)
		if shown := make1(c.Demo, "k1", volume("a")).Expect(http.StatusAccepted); shown.String("volume.id") != id || shown.String("volume.name") != "a" {
			t.Errorf("an answer that was lost: %s", shown.Body)
		}
		c.RunTasks()
		group := func() *testcloud.Answer {
			return c.Demo.Do("POST", "/networking/v2.0/security-groups", object{"security_group": object{"name": "once"}}, rest.KeyHeader, "k2")
		}
		var all sync.WaitGroup
		for range 6 {
			all.Go(func() { group() })
		}
		all.Wait()
		if made := c.Demo.Get("/networking/v2.0/security-groups?name=once").Expect(http.StatusOK).List("security_groups"); len(made) != 1 {
			t.Errorf("%d groups under one key", len(made))
		}
		group().Expect(http.StatusCreated)
		// a refusal is no answer: nothing was done
		c.Demo.Do("DELETE", "/volume/v3/volumes/none", nil, rest.KeyHeader, "k3").Expect(http.StatusNotFound)
		c.Demo.Do("DELETE", "/volume/v3/volumes/"+id, nil, rest.KeyHeader, "k4").Expect(http.StatusAccepted)
		c.RunTasks()
		c.Demo.Do("DELETE", "/volume/v3/volumes/"+id, nil, rest.KeyHeader, "k4").Expect(http.StatusAccepted)
		c.Demo.Do("DELETE", "/volume/v3/volumes/"+id, nil).Expect(http.StatusNotFound)
	})
}

// Passwords and keys in answers are not in the database in the clear.
func TestAnswersAreSealed(t *testing.T) {
	c := testcloud.New(t)
	made := c.Demo.Do("POST", "/identity/v3/users/"+c.Demo.UserID+"/credentials/OS-EC2", object{"tenant_id": c.Demo.ProjectID}, rest.KeyHeader, "k").Expect(http.StatusCreated)
	var text string
	if err := c.DB.QueryRowContext(t.Context(), "SELECT sealed FROM toolkit_answers").Scan(&text); err != nil {
		t.Fatal(err)
	}
	if secret := made.String("credential.secret"); secret == "" || text == "" || len(text) < len(secret) || contains(text, secret) {
		t.Errorf("the secret lies open: %s", text)
	}
}

func contains(text, part string) bool {
	for i := 0; i+len(part) <= len(text); i++ {
		if text[i:i+len(part)] == part {
			return true
		}
	}
	return false
}

// lose forgets the answers, as a server does that dies after the change.
func lose(t *testing.T, d *db.DB) {
	t.Helper()
	err := d.Write(context.Background(), func(tx *db.Tx) error {
		_, err := tx.ExecContext(context.Background(), "UPDATE toolkit_answers SET status = 0, sealed = ''")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
