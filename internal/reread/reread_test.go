package reread_test

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/reread"
)

type (
	word  string
	level int8
	base  struct {
		ID   string
		Tags []string `json:"tags,omitempty"`
	}
	inner struct {
		N    int
		Next *inner
	}
	// plain is decoded here in whole: nothing of it makes encoding/json decide.
	plain struct {
		base
		Name  word `json:"name"`
		Small level
		Big   uint64
		Ratio float64
		On    bool
		Words map[word]string
		Deep  map[string][]inner
		List  []inner
		To    *inner
		Text  *string
		Any   any
		Raw   json.RawMessage
		Bytes []byte
		At    time.Time
		Pair  [2]string
	}
	// thing has besides what encoding/json decides.
	thing struct {
		plain
		Half     float32
		Address  netip.Addr
		Hidden   string `json:"-"`
		Number   json.Number
		Number2  map[int]string
		unseen   int
		Quoted   int `json:",string"`
		Duration time.Duration
	}
)

// agree decodes a text twice; both ways must tell the same.
func agree[T any](t *testing.T, text string) {
	t.Helper()
	var got, want T
	errGot, errWant := reread.Of(reflect.TypeFor[T]()).Unmarshal([]byte(text), &got), json.Unmarshal([]byte(text), &want)
	if (errGot == nil) != (errWant == nil) {
		t.Fatalf("%T of %q: %v, encoding/json says %v", got, text, errGot, errWant)
	}
	if errGot == nil && !reflect.DeepEqual(got, want) {
		t.Fatalf("%T of %q:\n%#v, encoding/json says\n%#v", got, text, got, want)
	}
}

var texts = []string{
	`{}`, `null`, `[]`, `""`, ``, ` {}`, `{"ID":"a"} `, `{"ID":"a"}x`, `{"ID":"a",}`, `{"ID" :"a"}`, `{,}`, `{"ID":}`, `{"ID"}`, `{"ID":"a""tags":[]}`,
	`{"ID":"a","tags":["x","y"],"name":"n","Small":-3,"Big":18446744073709551615,"Ratio":1.5e-3,"On":true}`,
	`{"On":false,"name":"before its turn","ID":"z"}`, `{"id":"small letters"}`, `{"ID":"a","id":"b"}`, `{"Nobody":{"knows":[1,2,{}]},"On":true}`,
	`{"Nobody":{"knows" [1]},"On":true}`, `{"Nobody":[1,,2]}`, `{"Nobody":"\ud800"}`, `{"Nobody":nul}`, `{"Nobody":-}`, `{"Nobody":[}`,
	`{"Small":128}`, `{"Small":1.0}`, `{"Small":"1"}`, `{"Small":01}`, `{"Small":-0}`, `{"Small":null}`, `{"Big":-1}`, `{"Big":1e3}`, `{"Ratio":1e999}`, `{"Ratio":.5}`, `{"Ratio":1.}`, `{"Ratio":0.5}`,
	`{"name":"quote \" and \\ and \u003c é \n"}`, `{"name":"plain é"}`, "{\"name\":\"bad \xff\"}", "{\"name\":\"control \x01\"}", `{"name":"open`, `{"name":"open\`, `{"name":"\x"}`, `{"name":null}`,
	`{"Words":{"a":"b","c":"d","a":"e"}}`, `{"Words":null}`, `{"Words":{}}`, `{"Words":{"a":"b"},"Words":{"c":"d"}}`, `{"Words":{"a\n":"b"}}`, `{"Words":{"a":1}}`,
	`{"Deep":{"x":[{"N":1},{"N":2,"Next":{"N":3}}],"y":null,"z":[]}}`, `{"List":[{"N":1},{"N":2}],"List":[{}]}`, `{"List":[{"N":1},{"N":2}],"list":[{}]}`, `{"List":[1]}`, `{"List":[{"N":1}`,
	`{"To":{"N":1},"To":{"Next":{}}}`, `{"To":{"N":1},"To":null}`, `{"Text":"x"}`, `{"Text":null}`, `{"Any":{"a":[1,"b",null,true]}}`, `{"Any":1}`, `{"Raw":{"a": 1}}`, `{"Raw":"x"}`, `{"Bytes":"aGk="}`, `{"Bytes":"?"}`,
	`{"At":"2026-01-02T03:04:05Z"}`, `{"At":"yesterday"}`, `{"Pair":["a","b","c"]}`, `{"Pair":["a"]}`, `{"Address":"10.0.0.1","Number":12,"Number2":{"1":"x"},"Quoted":"5","Hidden":"x","Half":0.1,"Duration":5}`,
	`{"On":tru}`, `{"On":truex}`, `{"On":1}`, `{"On":null}`, `true`, `1`, `"x"`, `[{"N":1}]`, `{"To":` + strings.Repeat(`{"Next":`, 300) + `null` + strings.Repeat(`}`, 301),
}

func TestAsEncodingJSONDoes(t *testing.T) {
	for _, text := range texts {
		agree[thing](t, text)
		agree[plain](t, text)
		agree[map[string]any](t, text)
		agree[map[string]string](t, text)
		agree[[]inner](t, text)
		agree[[]string](t, text)
		agree[string](t, text)
		agree[bool](t, text)
		agree[*inner](t, text)
		agree[any](t, text)
		agree[uint8](t, text)
		agree[float32](t, text)
	}
}

// TestWhatIsWritten: what json.Marshal writes comes back.
func TestWhatIsWritten(t *testing.T) {
	text := "x"
	in := plain{base: base{"i", []string{"a", "<b>"}}, Name: "né\n", Small: -5, Big: 9, Ratio: 2.5, On: true, Words: map[word]string{"k": "v"},
		Deep: map[string][]inner{"d": {{N: 1}}}, List: []inner{{}, {N: 2, Next: &inner{N: 3}}}, To: &inner{N: 4}, Text: &text, Raw: json.RawMessage(`{}`), Pair: [2]string{"p", "q"}}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out plain
	if err := reread.Of(reflect.TypeFor[plain]()).Unmarshal(b, &out); err != nil || !reflect.DeepEqual(in, out) {
		t.Errorf("%v\n%#v\n%#v", err, in, out)
	}
}

func TestRefusesWhatCannotBeWrittenTo(t *testing.T) {
	r := reread.Of(reflect.TypeFor[thing]())
	if r.Unmarshal([]byte(`{}`), thing{}) == nil || r.Unmarshal([]byte(`{}`), (*thing)(nil)) == nil {
		t.Error("no error")
	}
	other := 0
	if err := r.Unmarshal([]byte(`5`), &other); err != nil || other != 5 {
		t.Errorf("of another type: %d, %v", other, err)
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, text := range texts {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		agree[thing](t, text)
		agree[plain](t, text)
		agree[map[string]string](t, text)
		agree[[]inner](t, text)
	})
}

// row is what rows hold mostly.
type row struct {
	base
	Project, User, Host, Zone, Status, Note string `json:",omitzero"`
	Serial, Created, Updated                int64  `json:",omitzero"`
	Locked, Defined                         bool   `json:",omitzero"`
	Words                                   map[string]string
	To                                      *inner
}

func BenchmarkUnmarshal(b *testing.B) {
	word := "0123456789abcdef0123456789abcdef"
	text, _ := json.Marshal(row{base: base{word, []string{"a", "b"}}, Project: word, User: word, Host: word, Status: "ACTIVE", Serial: 5, Created: 1234567890123456,
		Updated: 1234567890123456, Defined: true, Words: map[string]string{"k": "v"}})
	for name, decode := range map[string]func([]byte, any) error{"here": reread.Of(reflect.TypeFor[row]()).Unmarshal, "encoding-json": json.Unmarshal} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var v row
				if err := decode(text, &v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
