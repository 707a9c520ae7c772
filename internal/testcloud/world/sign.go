package world

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/mekcloud/mek/internal/clock"
)

// AskObjects sends a question to the object store's own port, signed with the
// person's keys if it has any, as S3's clients do.
func (w *World) AskObjects(p *Person, q Question) *httptest.ResponseRecorder {
	r := httptest.NewRequest(q.Method, "http://cloud.test/", bytes.NewReader(q.Body))
	path, query, _ := strings.Cut(q.Path, "?")
	r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.RequestURI = unescape(path), path, query, q.Path
	if q.Body == nil {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	r.RemoteAddr = "127.0.0.1:1"
	maps.Copy(r.Header, q.Header)
	if p.Access != "" {
		sum := sha256.Sum256(q.Body)
		digest := hex.EncodeToString(sum[:])
		r.Header.Set("X-Amz-Content-Sha256", digest)
		signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
		keys := aws.Credentials{AccessKeyID: p.Access, SecretAccessKey: p.Secret}
		if err := signer.SignHTTP(context.Background(), keys, r, digest, "s3", "us-east-1", clock.Real{}.Now()); err != nil {
			w.t.Error(err)
		}
	}
	answer := httptest.NewRecorder()
	w.cloud.Objects().ServeHTTP(answer, r)
	return answer
}
