package acceptance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestS3Clients is a session of boto3 and one of aws, neither told of us more
// than an address and a key, and the same objects as the standard client sees them.
func TestS3Clients(t *testing.T) {
	c := newCloud(t, "--simulate", "1", "--bare")
	var vars map[string]string
	if err := json.Unmarshal([]byte(c.mek("env", "--cloud", "demo", "--s3", "--json")), &vars); err != nil {
		t.Fatal(err)
	}
	env := []string{"env"}
	for name, value := range vars {
		env = append(env, name+"="+value)
	}
	again := c.mek("env", "--cloud", "demo", "--s3", "--json")
	if !strings.Contains(again, vars["AWS_ACCESS_KEY_ID"]) {
		t.Errorf("every call makes a new key: %s", again)
	}
	script, err := filepath.Abs("testdata/s3.py")
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.run(3*time.Minute, append(slices.Clone(env), "/usr/bin/python3", "-W", "ignore", script)...)
	if err != nil || strings.TrimSpace(out) != `"done"` {
		t.Fatalf("boto3: %v\n%s", err, out)
	}
	want := []string{"copy", "draft", "readme", "reels/copy.bin", "reels/one.bin", "reels/two", "scores/a b", "scores/é+&", "summed"}
	if got := c.objects("films"); !slices.Equal(got, want) {
		t.Errorf("the standard client sees %q, want %q", got, want)
	}
	aws := func(args ...string) string {
		t.Helper()
		words := append(slices.Clone(env), "/usr/bin/aws", "--endpoint-url", vars["AWS_ENDPOINT_URL_S3"], "--output", "json")
		out, err := c.run(2*time.Minute, append(words, args...)...)
		if err != nil {
			t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return out
	}
	big, back := filepath.Join(c.dir, "big"), filepath.Join(c.dir, "aws-back")
	aws("s3", "mb", "s3://library")
	aws("s3", "cp", "--no-progress", big, "s3://library/shelf/big")
	aws("s3", "cp", "--no-progress", "s3://library/shelf/big", back)
	if a, b := content(t, big), content(t, back); !slices.Equal(a, b) {
		t.Errorf("%d bytes came back of %d", len(b), len(a))
	}
	if out := aws("s3", "ls", "s3://library"); !strings.Contains(out, "PRE shelf/") {
		t.Errorf("aws s3 ls prints %s", out)
	}
	ranged := filepath.Join(c.dir, "range")
	aws("s3api", "get-object", "--bucket", "library", "--key", "shelf/big", "--range", "bytes=255-257", ranged)
	if got := content(t, ranged); !slices.Equal(got, []byte{255, 0, 1}) {
		t.Errorf("the range is %v", got)
	}
	aws("s3", "cp", "s3://library/shelf/big", "s3://films/from-library")
	folder := filepath.Join(c.dir, "folder")
	for _, name := range []string{"a", "b/c"} {
		file := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	aws("s3", "sync", folder, "s3://library/tree")
	if got := c.objects("library"); !slices.Equal(got, []string{"shelf/big", "tree/a", "tree/b/c"}) {
		t.Errorf("the standard client sees %q", got)
	}
	c.openstack("object", "create", "--name", "by-swift", "library", filepath.Join(folder, "a"))
	if out := aws("s3", "ls", "--recursive", "s3://library"); !strings.Contains(out, "by-swift") {
		t.Errorf("aws does not see what the standard client made: %s", out)
	}
	signed := strings.TrimSpace(aws("s3", "presign", "--expires-in", "60", "s3://library/tree/a"))
	if out, err := c.run(time.Minute, "/usr/bin/python3", "-c", "import ssl,sys,urllib.request;"+
		"print(urllib.request.urlopen(sys.argv[1],context=ssl.create_default_context(cafile=sys.argv[2])).read().decode())", signed, vars["AWS_CA_BUNDLE"]); err != nil || strings.TrimSpace(out) != "a" {
		t.Errorf("the presigned address gives %q, %v", out, err)
	}
	aws("s3", "rm", "--recursive", "s3://library")
	aws("s3", "rb", "s3://library")
	if out, err := c.run(2*time.Minute, append(slices.Clone(env), "/usr/bin/python3", "-W", "ignore", "-c", "import boto3,os;"+
		"b=boto3.resource('s3',endpoint_url=os.environ['AWS_ENDPOINT_URL_S3']).Bucket('films');b.object_versions.delete();b.delete()")...); err != nil {
		t.Errorf("emptying a bucket with versions: %v\n%s", err, out)
	}
}

// objects lists a container with the standard client.
func (c *cloud) objects(container string) []string {
	c.t.Helper()
	list, ok := c.openstack("object", "list", container).value.([]any)
	if !ok {
		c.t.Fatalf("object list printed no list")
	}
	var names []string
	for _, o := range list {
		name, _ := o.(map[string]any)["Name"].(string) // a list of objects is what the client prints
		names = append(names, name)
	}
	return names
}

func content(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
