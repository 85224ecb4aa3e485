package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

// Problem is one thing wrong with the configuration.
type Problem struct {
	// Where is the key with the file and line or the option that set it.
	Where string
	// Wrong says what is wrong, Remedy what would be right.
	Wrong, Remedy string
}

func (p Problem) Error() string { return fmt.Sprintf("%s: %s: %s", p.Where, p.Wrong, p.Remedy) }

// Error is all that is wrong with a configuration. The process ends with exit code 78 (EX_CONFIG of sysexits.h).
type Error struct{ Problems []Problem }

func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.Error()
	}
	return "configuration: " + strings.Join(lines, "\nconfiguration: ")
}

// Judge finds what is wrong with the values by rules that another package owns. It is given configurations with problems,
// too: it passes over what cannot be read, and known tells it which keys have a problem already.
type Judge func(c Config, known func(key string) bool) []Problem

// Load reads the defaults, then the file (none when empty), then the options "key=value", and validates the whole, by the
// judges too. The error is an [*Error] with every problem found.
func Load(file string, options []string, judges ...Judge) (Config, error) {
	c := Default()
	var l loader
	if file != "" {
		l.file(file, &c)
	}
	for _, option := range options {
		l.option(option, &c)
	}
	l.problems = append(l.problems, c.validate()...)
	for _, judge := range judges {
		l.problems = append(l.problems, judge(c, l.known)...)
	}
	if len(l.problems) > 0 {
		return Config{}, &Error{l.problems}
	}
	return c, nil
}

// loader collects problems while it fills a Config.
type loader struct{ problems []Problem }

func (l *loader) add(where, wrong, remedy string) {
	l.problems = append(l.problems, Problem{Where: where, Wrong: wrong, Remedy: remedy})
}

// known reports whether a key, or one below it, has a problem.
func (l *loader) known(key string) bool {
	return slices.ContainsFunc(l.problems, func(p Problem) bool {
		at := p.Where[strings.LastIndexByte(p.Where, ' ')+1:] // The key follows the file and line.
		return at == key || strings.HasPrefix(at, key+".")
	})
}

func (l *loader) file(name string, c *Config) {
	data, err := os.ReadFile(name)
	if err != nil {
		l.add(name, "cannot be read: "+reason(err), "name a readable YAML file with --config")
		return
	}
	l.document(data, c, func(line int) string { return fmt.Sprintf("%s:%d", name, line) })
}

// option reads "a.b=value" as the YAML document {a: {b: value}}.
func (l *loader) option(option string, c *Config) {
	key, value, ok := strings.Cut(option, "=")
	if !ok {
		l.add("--set "+option, "has no value", "write --set key=value, for example --set http.listen=127.0.0.1:9000")
		return
	}
	path := strings.Split(key, ".")
	for i, word := range path {
		path[i] = strconv.Quote(word) + ": "
	}
	// A list or mapping is YAML of its own; anything else but a number is quoted, so that an address or a time needs no
	// quotes in the shell.
	switch {
	case strings.HasPrefix(value, "["):
		value = quoteItems(value)
	case value != "true" && value != "false" && !strings.HasPrefix(value, "{") && !isNumber(value):
		value = strconv.Quote(value)
	}
	text := "{" + strings.Join(path, "{") + value + strings.Repeat("}", len(path))
	l.document([]byte(text), c, func(int) string { return "--set" })
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

// quoteItems quotes the items of a flow list of plain words, "[127.0.0.1:3478, a]", since YAML would read some of them
// as mappings.
func quoteItems(list string) string {
	items := strings.Split(strings.TrimSuffix(strings.TrimPrefix(list, "["), "]"), ",")
	quoted := items[:0]
	for _, item := range items {
		if item = strings.Trim(item, " \"'"); item != "" {
			quoted = append(quoted, strconv.Quote(item))
		}
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func (l *loader) document(data []byte, c *Config, where func(line int) string) {
	var document yaml.Node
	if err := yaml.Load(data, &document); err != nil {
		l.add(where(1), "is not YAML: "+reason(err), "see the annotated example configuration")
		return
	}
	if len(document.Content) == 0 {
		return // An empty file changes nothing.
	}
	l.mapping(document.Content[0], reflect.ValueOf(c).Elem(), "", where)
}

// mapping fills the struct's fields from the node's keys.
func (l *loader) mapping(node *yaml.Node, into reflect.Value, prefix string, where func(line int) string) {
	if node.Kind != yaml.MappingNode {
		l.add(where(node.Line)+" "+strings.TrimSuffix(prefix, "."), "is a single value", "give it keys: "+keyList(into.Type()))
		return
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		at := where(key.Line) + " " + prefix + key.Value
		field, ok := fieldOf(into, key.Value)
		switch {
		case !ok:
			l.add(at, "unknown key", suggestion(into.Type(), prefix, key.Value))
		case field.Kind() == reflect.Struct:
			l.mapping(value, field, prefix+key.Value+".", where)
		default:
			l.value(value, field, at)
		}
	}
}

func (l *loader) value(node *yaml.Node, into reflect.Value, at string) {
	fresh := reflect.New(into.Type()) // Decoded apart, so that a list replaces the default instead of growing it.
	if err := node.Load(fresh.Interface(), yaml.WithKnownFields()); err != nil {
		value := strconv.Quote(shortened(node.Value))
		if holdsSecrets(into.Type()) {
			value = "the value"
		}
		l.add(at, value+" does not fit", "give "+typeInWords(into.Type()))
		return
	}
	into.Set(fresh.Elem())
}

// holdsSecrets tells whether a value of this type must not be shown.
func holdsSecrets(t reflect.Type) bool {
	if t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return t == reflect.TypeFor[Secret]()
}

func fieldOf(s reflect.Value, key string) (reflect.Value, bool) {
	for i := range s.NumField() {
		if s.Type().Field(i).Tag.Get("yaml") == key {
			return s.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func keyList(t reflect.Type) string {
	keys := make([]string, t.NumField())
	for i := range keys {
		keys[i] = t.Field(i).Tag.Get("yaml")
	}
	return strings.Join(keys, ", ")
}

// suggestion names the key that was probably meant, or all that there are.
func suggestion(t reflect.Type, prefix, key string) string {
	for i := range t.NumField() {
		if known := t.Field(i).Tag.Get("yaml"); distance(known, key) <= max(1, len(known)/3) {
			return fmt.Sprintf("did you mean %s%s?", prefix, known)
		}
	}
	if prefix == "" {
		return "the keys are " + keyList(t)
	}
	return fmt.Sprintf("the keys of %s are %s", strings.TrimSuffix(prefix, "."), keyList(t))
}

// distance is the Levenshtein distance of two short words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func typeInWords(t reflect.Type) string {
	switch {
	case t.String() == "time.Duration":
		return "a duration such as 500ms, 1s or 5m"
	case t.Kind() == reflect.Slice:
		return "a list such as [a, b]"
	case t.Kind() == reflect.Map:
		return "a mapping such as {name: value}"
	case t.Kind() == reflect.Int:
		return "a whole number"
	case t.Kind() == reflect.Pointer, t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Float64:
		return "a number"
	}
	return "a single value"
}

// reason is the innermost error's text, without the operation and path that the problem already names.
func reason(err error) string {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return strings.ReplaceAll(err.Error(), "\n", " ")
}

func shortened(s string) string {
	const most = 60
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
