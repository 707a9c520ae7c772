package report

import (
	"bufio"
	"io"
	"strconv"
	"strings"
)

// Metric sums the lines of a page of metrics that are of a name and carry all of
// some labels, each as `name="value"`. A fault after which no sum has grown was
// seen by nobody (I-42).
func Metric(page io.Reader, name string, labels ...string) (sum float64, err error) {
	lines := bufio.NewScanner(page)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), " ")
		if own, _, _ := strings.Cut(key, "{"); own != name || !holds(key, labels) {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return sum, err
		}
		sum += n
	}
	return sum, lines.Err()
}

func holds(key string, labels []string) bool {
	for _, l := range labels {
		if !strings.Contains(key, l) {
			return false
		}
	}
	return true
}
