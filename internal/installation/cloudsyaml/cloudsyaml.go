package cloudsyaml

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"go.yaml.in/yaml/v4"
)

// Entry is one cloud as clients read it.
type Entry struct {
	Auth               Auth   `yaml:"auth"`
	RegionName         string `yaml:"region_name"`
	IdentityAPIVersion string `yaml:"identity_api_version"`
	CACert             string `yaml:"cacert,omitempty"`
}

// Auth is the way into a project by password.
type Auth struct {
	AuthURL           string `yaml:"auth_url"`
	Username          string `yaml:"username"`
	Password          string `yaml:"password"`
	ProjectName       string `yaml:"project_name"`
	UserDomainName    string `yaml:"user_domain_name"`
	ProjectDomainName string `yaml:"project_domain_name"`
}

// Owner is who a file belongs to; -1 leaves it to the process.
type Owner struct{ UID, GID int }

// suffix of the copy of a file that was there before us.
const suffix = ".before-mek"

// Merge writes entries into the file, making it when missing, and tells
// whether anything changed. An entry of the same name is replaced.
func Merge(path string, entries map[string]Entry, owner Owner) (changed bool, err error) {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, fmt.Errorf("read clouds.yaml: %w", err)
	}
	text, err := merge(old, entries)
	if err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	if bytes.Equal(text, old) {
		return false, nil
	}
	if len(old) > 0 {
		if _, err := os.Stat(path + suffix); errors.Is(err, os.ErrNotExist) {
			if err := write(path+suffix, old, owner); err != nil {
				return false, err
			}
		}
	}
	return true, write(path, text, owner)
}

// Remove takes entries out that lead to authURL. A file that held nothing else
// is removed, with the copy beside it.
func Remove(path string, names []string, authURL string) error {
	old, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read clouds.yaml: %w", err)
	}
	text, empty, err := remove(old, names, authURL)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if before, err := os.ReadFile(path + suffix); err == nil && sameYAML(before, text) {
		text = before // as it was, to the byte
	}
	if empty {
		err = os.Remove(path)
	} else if !bytes.Equal(text, old) {
		err = rewrite(path, text)
	}
	if err != nil {
		return fmt.Errorf("clouds.yaml: %w", err)
	}
	if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the copy of clouds.yaml: %w", err)
	}
	return nil
}

func sameYAML(a, b []byte) bool {
	var x, y any
	if yaml.Unmarshal(a, &x) != nil || yaml.Unmarshal(b, &y) != nil {
		return false
	}
	p, err1 := yaml.Marshal(x)
	q, err2 := yaml.Marshal(y)
	return err1 == nil && err2 == nil && bytes.Equal(p, q)
}

// Read returns the entries of a file by name.
func Read(path string) (map[string]Entry, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read clouds.yaml: %w", err)
	}
	var file struct {
		Clouds map[string]Entry `yaml:"clouds"`
	}
	if err := yaml.Unmarshal(b, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return file.Clouds, nil
}

// document parses a file into its root mapping and the one of clouds.
func document(text []byte) (doc *yaml.Node, clouds *yaml.Node, err error) {
	doc = &yaml.Node{}
	if err := yaml.Unmarshal(text, doc); err != nil {
		return nil, nil, fmt.Errorf("is not YAML, so it was left alone: %w", err)
	}
	if doc.Kind == 0 || len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
		doc = &yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{{Kind: yaml.MappingNode}}}
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, nil, errors.New("is not a map, so it was left alone")
	}
	if clouds = lookup(root, "clouds"); clouds == nil {
		clouds = &yaml.Node{Kind: yaml.MappingNode}
		set(root, "clouds", clouds)
	}
	if clouds.Tag == "!!null" {
		*clouds = yaml.Node{Kind: yaml.MappingNode}
	}
	if clouds.Kind != yaml.MappingNode {
		return nil, nil, errors.New("has clouds that are no map, so it was left alone")
	}
	return doc, clouds, nil
}

func merge(old []byte, entries map[string]Entry) ([]byte, error) {
	doc, clouds, err := document(old)
	if err != nil {
		return nil, err
	}
	same := true
	for _, name := range sorted(entries) {
		var value yaml.Node
		if err := value.Encode(entries[name]); err != nil {
			return nil, fmt.Errorf("encode: %w", err)
		}
		var have Entry
		if at := lookup(clouds, name); at != nil && at.Decode(&have) == nil && have == entries[name] {
			continue
		}
		same = false
		set(clouds, name, &value)
	}
	if same {
		return old, nil
	}
	return encode(doc)
}

func remove(old []byte, names []string, authURL string) (text []byte, empty bool, err error) {
	doc, clouds, err := document(old)
	if err != nil {
		return nil, false, err
	}
	for _, name := range names {
		var have Entry
		if at := lookup(clouds, name); at != nil && at.Decode(&have) == nil && have.Auth.AuthURL == authURL {
			drop(clouds, name)
		}
	}
	if len(clouds.Content) == 0 && len(doc.Content[0].Content) == 2 {
		return nil, true, nil
	}
	text, err = encode(doc)
	return text, false, err
}

func encode(doc *yaml.Node) ([]byte, error) {
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(doc); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	if err := e.Close(); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return out.Bytes(), nil
}

func lookup(m *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return m.Content[i+1]
		}
	}
	return nil
}

func set(m *yaml.Node, key string, value *yaml.Node) {
	if at := lookup(m, key); at != nil {
		*at = *value
		return
	}
	m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, value)
}

func drop(m *yaml.Node, key string) {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			m.Content = append(m.Content[:i], m.Content[i+2:]...)
			return
		}
	}
}

// write replaces a file as a whole, readable by its owner alone. Folders that
// are made on the way belong to the owner as well.
func write(path string, text []byte, owner Owner) error {
	if err := makeFolders(filepath.Dir(path), owner); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return fmt.Errorf("write clouds.yaml: %w", err)
	}
	if owner.UID >= 0 {
		if err := os.Chown(path+".new", owner.UID, owner.GID); err != nil {
			return fmt.Errorf("owner of clouds.yaml: %w", err)
		}
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write clouds.yaml: %w", err)
	}
	return nil
}

// rewrite keeps mode and owner by writing in place; the text is shorter than
// what was there, so the disk cannot fill up half way.
func rewrite(path string, text []byte) error { return os.WriteFile(path, text, 0o600) }

func makeFolders(dir string, owner Owner) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := makeFolders(filepath.Dir(dir), owner); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make folder: %w", err)
	}
	if owner.UID >= 0 {
		if err := os.Chown(dir, owner.UID, owner.GID); err != nil {
			return fmt.Errorf("owner of folder: %w", err)
		}
	}
	return nil
}

func sorted(entries map[string]Entry) []string { return slices.Sorted(maps.Keys(entries)) }
