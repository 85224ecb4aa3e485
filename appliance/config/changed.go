package config

import "reflect"

// Changed lists the keys whose values differ between two configurations, in the order of the manual.
func Changed(a, b Config) []string { return changed(reflect.ValueOf(a), reflect.ValueOf(b), "") }

func changed(a, b reflect.Value, prefix string) (keys []string) {
	for i := range a.NumField() {
		key, x, y := prefix+a.Type().Field(i).Tag.Get("yaml"), a.Field(i), b.Field(i)
		switch {
		case x.Kind() == reflect.Struct:
			keys = append(keys, changed(x, y, key+".")...)
		case !reflect.DeepEqual(x.Interface(), y.Interface()):
			keys = append(keys, key)
		}
	}
	return keys
}
