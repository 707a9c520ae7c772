package app

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
	objectstoreapi "github.com/mekcloud/mek/internal/objectstore/api"
	"github.com/mekcloud/mek/internal/objectstore/bulk"
	"github.com/mekcloud/mek/internal/objectstore/containersync"
	"github.com/mekcloud/mek/internal/objectstore/crossdomain"
	"github.com/mekcloud/mek/internal/objectstore/formpost"
	"github.com/mekcloud/mek/internal/objectstore/quotas"
	"github.com/mekcloud/mek/internal/objectstore/reading"
	"github.com/mekcloud/mek/internal/objectstore/staticweb"
	"github.com/mekcloud/mek/internal/objectstore/tempurl"
	"github.com/mekcloud/mek/internal/objectstore/v1auth"
	"github.com/mekcloud/mek/internal/objectstore/versionedwrites"
)

// swift builds the Swift API.
func (b *builder) swift(context.Context) error {
	store, access := b.shared.objects, swiftAccess()
	s := objectstoreapi.New(objectstoreapi.Deps{Store: store, Reader: reading.New(store), Clock: b.Clock, Access: access,
		AdminKey: b.Config.Objects.InfoKey,
		Front: []objectstoreapi.Extension{
			{Filter: containersync.Filter},
			{Routes: crossdomain.Routes(), Info: crossdomain.Info()},
			{Routes: v1auth.New(b.v1Login, b.Clock, access.Prefix).Routes()},
			{Filter: bulk.New(b.Clock).Filter, Info: bulk.Info()},
			{Filter: tempurl.New(store, b.Clock).Filter, Info: tempurl.Info()},
			{Filter: formpost.New(store, b.Clock).Filter, Info: formpost.Info()},
			{Filter: staticweb.New(store).Filter, Info: staticweb.Info()},
		},
		Middle: []objectstoreapi.Extension{
			{Filter: quotas.New(store).Filter, Info: quotas.Info()},
			{Filter: versionedwrites.New(store).Filter, Info: versionedwrites.Info()},
		}})
	service := s.REST()
	if b.elsewhere != nil {
		service.Elsewhere = b.elsewhere.swift
	}
	b.serve(service)
	return nil
}

// v1Login logs in at Keystone as any client would, with all of its checks.
func (b *builder) v1Login(ctx context.Context, project, user, password, remote string) (t v1auth.Ticket, ok bool, err error) {
	domain := map[string]any{"id": identity.DefaultDomainID}
	body, err := json.Marshal(map[string]any{"auth": map[string]any{
		"identity": map[string]any{"methods": []string{"password"}, "password": map[string]any{"user": map[string]any{"name": user, "domain": domain, "password": password}}},
		"scope":    map[string]any{"project": map[string]any{"name": project, "domain": domain}}}})
	if err != nil {
		return t, false, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "/identity/v3/auth/tokens?nocatalog", bytes.NewReader(body))
	if err != nil {
		return t, false, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.RemoteAddr = remote
	w := &answerBuffer{header: http.Header{}, Code: http.StatusOK}
	b.frontDoor().ServeHTTP(w, r)
	if w.Code != http.StatusCreated {
		if w.Code >= http.StatusInternalServerError || w.Code == http.StatusTooManyRequests {
			return t, false, fault.Unavailablef("Nobody can log in at the moment")
		}
		return t, false, nil
	}
	var answer struct {
		Token struct {
			Project struct {
				ID string `json:"id"`
			} `json:"project"`
			Expires time.Time `json:"expires_at"`
		} `json:"token"`
	}
	err = json.Unmarshal(w.Body.Bytes(), &answer)
	return v1auth.Ticket{Token: w.Header().Get("X-Subject-Token"), Project: answer.Token.Project.ID, Expires: answer.Token.Expires}, err == nil, err
}

// answerBuffer is a client inside of this process.
type answerBuffer struct {
	header http.Header
	Code   int
	Body   bytes.Buffer
}

func (a *answerBuffer) Header() http.Header         { return a.header }
func (a *answerBuffer) WriteHeader(code int)        { a.Code = code }
func (a *answerBuffer) Write(b []byte) (int, error) { return a.Body.Write(b) }
