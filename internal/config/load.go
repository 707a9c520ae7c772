package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/v2"
	"go.yaml.in/yaml/v4"
)

// The files of a data directory.
const (
	SettingsFile = "settings.yaml" // what "mek up" chose
	OperatorFile = "mek.yaml"      // what the operator wants
)

// Load reads the configuration of the cloud in dataDir. env is the process's
// environment, flags are keys with dots as on the command line; both may be nil.
func Load(dataDir string, env []string, flags map[string]any) (Config, error) {
	abs, err := filepath.Abs(dataDir)
	if err != nil {
		return Config{}, fmt.Errorf("data directory: %w", err)
	}
	c := Default(abs)
	k := koanf.New(".")
	for _, name := range []string{SettingsFile, OperatorFile} {
		values, err := readFile(filepath.Join(abs, name))
		if err != nil {
			return Config{}, err
		}
		if err := k.Load(values, nil); err != nil {
			return Config{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, values := range []source{unflatten(Environment(env)), unflatten(flags)} {
		if err := k.Load(values, nil); err != nil {
			return Config{}, fmt.Errorf("configuration: %w", err)
		}
	}
	if err := decode(k, &c); err != nil {
		return Config{}, err
	}
	return c, c.Validate()
}

func decode(k *koanf.Koanf, c *Config) error {
	var meta mapstructure.Metadata
	conf := koanf.UnmarshalConf{Tag: "koanf", DecoderConfig: &mapstructure.DecoderConfig{
		Result: c, TagName: "koanf", WeaklyTypedInput: true, ErrorUnused: true, Metadata: &meta,
		DecodeHook: mapstructure.ComposeDecodeHookFunc(mapstructure.StringToTimeDurationHookFunc(), mapstructure.StringToSliceHookFunc(",")),
	}}
	if err := k.UnmarshalWithConf("", c, conf); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	return nil
}

// source hands values to koanf as they are.
type source map[string]any

func (s source) Read() (map[string]any, error) { return s, nil }

func (s source) ReadBytes() ([]byte, error) {
	return nil, errors.New("configuration source has no bytes")
}

func readFile(path string) (source, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return source{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	values, err := parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return values, nil
}

// parse reads a configuration file: a YAML map with string keys.
func parse(b []byte) (source, error) {
	values := map[string]any{} // not source: nested maps would take that type too, and would not merge
	if err := yaml.Unmarshal(b, &values); err != nil {
		return nil, fmt.Errorf("not a YAML map: %w", err)
	}
	return values, nil
}

// Environment turns MEK_BUS__LISTEN=x into the key bus.listen. A double
// underscore is a dot, since keys have single ones. Other variables are left out.
func Environment(env []string) map[string]any {
	flat := map[string]any{}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		key, ours := strings.CutPrefix(name, "MEK_")
		if !ours || reserved[name] || strings.HasPrefix(key, "TEST_") {
			continue
		}
		flat[strings.ReplaceAll(strings.ToLower(key), "__", ".")] = value
	}
	return flat
}

// reserved variables mean something else than a key; the last are those of fault tests.
var reserved = map[string]bool{"MEK_ENGINE": true, "MEK_RUN_ROOT": true, "MEK_DATA_DIR": true, "MEK_LISTEN_FD": true, "MEK_OBJECT_LISTEN_FD": true, "MEK_BINARY": true,
	"MEK_REPORT": true, "MEK_SOAK": true, "MEK_SEEDS": true, "MEK_COMMIT": true, "MEK_FAULTS": true, "MEK_SEED": true}

func unflatten(flat map[string]any) source {
	out := source{}
	for key, value := range flat {
		parts := strings.Split(key, ".")
		at := map[string]any(out)
		for _, p := range parts[:len(parts)-1] {
			next, ok := at[p].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[p] = next
			}
			at = next
		}
		at[parts[len(parts)-1]] = value
	}
	return out
}

// Remember writes choices into settings.yaml, beside those already there.
func Remember(dataDir string, choices map[string]any) error {
	path := filepath.Join(dataDir, SettingsFile)
	values, err := readFile(path)
	if err != nil {
		return err
	}
	k := koanf.New(".")
	for _, s := range []source{values, unflatten(choices)} {
		if err := k.Load(s, nil); err != nil {
			return fmt.Errorf("remember settings: %w", err)
		}
	}
	b, err := yaml.Marshal(k.Raw())
	if err != nil {
		return fmt.Errorf("remember settings: %w", err)
	}
	text := append([]byte("# Written by mek up. Put your own settings into mek.yaml: they win.\n"), b...)
	if old, err := os.ReadFile(path); err == nil && string(old) == string(text) {
		return nil
	}
	if err := os.WriteFile(path+".new", text, 0o644); err != nil {
		return fmt.Errorf("remember settings: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("remember settings: %w", err)
	}
	return nil
}
