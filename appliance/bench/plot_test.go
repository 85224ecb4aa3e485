//go:build linux

package bench

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestPlotPage(t *testing.T) {
	host := Host{Kernel: "Linux <6>", CPUs: 2}
	late := make([]int64, 0, 5000)
	for i := range int64(5000) {
		late = append(late, 1+i*i*40)
	}
	text := plotPage(host, []panel{
		{"idle, 50 × 20ms", []plotCurve{{armRuntime, curve(late)}, {"a<b", curve([]int64{-5, 3})}}},
		{"busy", []plotCurve{{armWire, nil}}},
	})
	elements := map[string]int{}
	for decoder := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
		if start, ok := token.(xml.StartElement); ok {
			elements[start.Name.Local]++
			for _, a := range start.Attr {
				if a.Name.Local == "src" || a.Name.Local == "href" {
					t.Errorf("<%s> asks for %s", start.Name.Local, a.Value)
				}
			}
		}
	}
	if elements["svg"] != 2 || elements["polyline"] != 3 || elements["script"] != 0 {
		t.Errorf("elements %v, want two diagrams with three curves and no script", elements)
	}
	for _, want := range []string{"Linux &lt;6&gt;", "a&lt;b", "50 %", "99.9 %", "1ms", "prefers-color-scheme: dark"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
		t.Error("a point has no place")
	}
}
