package measured

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestCurves(t *testing.T) {
	svg := string(Draw("growth <of> rows", []Curve{{"flat", []float64{10, 100, 1000}, []float64{1, 1, 1}}, {"linear & more", []float64{10, 100, 1000}, []float64{1, 10, 100}}}))
	for dec := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{`points="70.0,470.0 370.0,470.0 670.0,470.0 "`, `points="70.0,470.0 370.0,255.0 670.0,40.0 "`, "growth &lt;of&gt; rows", "linear &amp; more", "1000 rows", "100 ms"} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %s in %s", want, svg)
		}
	}
	if empty := Draw("", nil); len(empty) == 0 {
		t.Error("nothing is drawn of nothing")
	}
}
