// SPDX-License-Identifier: Apache-2.0

// Renders a chart as `helm template --include-crds` does, with the features that the chart of this repository uses: values over values.yaml, the schema, the functions of the engine. Writes the
// documents to standard output. Built from Debian packages, so that the tests need neither helm nor a network.
//
//	renderer [-release NAME] [-namespace NS] [-notes] CHART [VALUES.yaml]...
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"github.com/ghodss/yaml"
	"github.com/xeipuuv/gojsonschema"
)

type object = map[string]interface{}

// Files of a chart, for .Files.Get.
type files struct{ root string }

func (f files) Get(name string) string {
	if strings.Contains(name, "..") || filepath.IsAbs(name) {
		return ""
	}
	content, err := os.ReadFile(filepath.Join(f.root, name))
	if err != nil {
		return ""
	}
	return string(content)
}

func main() {
	release := flag.String("release", "aws-vpc-cni", "name of the release")
	namespace := flag.String("namespace", "kube-system", "namespace of the release")
	notes := flag.Bool("notes", false, "print NOTES.txt instead of the objects")
	flag.Parse()
	if err := run(*release, *namespace, *notes, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(release, namespace string, notes bool, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: renderer [-release NAME] [-namespace NS] [-notes] CHART [VALUES.yaml]...")
	}
	root := args[0]
	meta, err := readYaml(filepath.Join(root, "Chart.yaml"))
	if err != nil {
		return err
	}
	values, err := readYaml(filepath.Join(root, "values.yaml"))
	if err != nil {
		return err
	}
	for _, name := range args[1:] {
		given, err := readYaml(name)
		if err != nil {
			return err
		}
		values = over(given, values)
	}
	if err := checkSchema(filepath.Join(root, "values.schema.json"), values); err != nil {
		return err
	}
	data := object{
		"Values":       values,
		"Chart":        chartFields(meta),
		"Release":      object{"Name": release, "Namespace": namespace, "Service": "Helm", "IsInstall": true, "IsUpgrade": false, "Revision": 1},
		"Capabilities": object{"KubeVersion": object{"Version": "v1.31.0", "Major": "1", "Minor": "31"}},
		"Files":        files{root},
	}
	rendered, err := render(root, data)
	if err != nil {
		return err
	}
	if notes {
		fmt.Print(rendered["NOTES.txt"])
		return nil
	}
	crds, err := filepath.Glob(filepath.Join(root, "crds", "*.yaml"))
	if err != nil {
		return err
	}
	for _, name := range crds {
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		fmt.Printf("---\n# Source: %s\n%s", filepath.Base(name), content)
	}
	names := make([]string, 0, len(rendered))
	for name := range rendered {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if strings.HasSuffix(name, ".yaml") && strings.TrimSpace(rendered[name]) != "" {
			fmt.Printf("---\n# Source: %s\n%s\n", name, rendered[name])
		}
	}
	return nil
}

// Helm capitalizes the fields of Chart.yaml.
func chartFields(meta object) object {
	fields := object{}
	for name, value := range meta {
		fields[strings.ToUpper(name[:1])+name[1:]] = value
	}
	return fields
}

func readYaml(name string) (object, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	read := object{}
	if err := yaml.Unmarshal(content, &read); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return read, nil
}

// The given values override the defaults; maps are merged, and null removes a default.
func over(given, defaults object) object {
	merged := object{}
	for key, value := range defaults {
		merged[key] = value
	}
	for key, value := range given {
		below, isMap := merged[key].(object)
		above, alsoMap := value.(object)
		switch {
		case value == nil:
			delete(merged, key)
		case isMap && alsoMap:
			merged[key] = over(above, below)
		default:
			merged[key] = value
		}
	}
	return merged
}

func checkSchema(name string, values object) error {
	schema, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	content, err := json.Marshal(values)
	if err != nil {
		return err
	}
	result, err := gojsonschema.Validate(gojsonschema.NewBytesLoader(schema), gojsonschema.NewBytesLoader(content))
	if err != nil {
		return err
	}
	if result.Valid() {
		return nil
	}
	problems := []string{"values don't meet the specifications of the schema:"}
	for _, problem := range result.Errors() {
		problems = append(problems, "- "+problem.String())
	}
	return errors.New(strings.Join(problems, "\n"))
}

func render(root string, data object) (map[string]string, error) {
	all := template.New("chart").Option("missingkey=zero")
	functions := sprig.TxtFuncMap()
	// As in Helm, the result does not depend on the environment.
	delete(functions, "env")
	delete(functions, "expandenv")
	for name, function := range engine(all) {
		functions[name] = function
	}
	all.Funcs(functions)
	var names []string
	folder := filepath.Join(root, "templates")
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		if _, err := all.New(name).Parse(string(content)); err != nil {
			return err
		}
		names = append(names, name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	rendered := map[string]string{}
	for _, name := range names {
		if strings.HasPrefix(filepath.Base(name), "_") {
			continue
		}
		var output bytes.Buffer
		if err := all.ExecuteTemplate(&output, name, data); err != nil {
			return nil, err
		}
		// text/template prints this for missing values; Helm removes it as well.
		rendered[name] = strings.ReplaceAll(output.String(), "<no value>", "")
	}
	return rendered, nil
}

// Functions that Helm adds to those of sprig.
func engine(all *template.Template) template.FuncMap {
	toYaml := func(value interface{}) (string, error) {
		content, err := yaml.Marshal(value)
		return strings.TrimSuffix(string(content), "\n"), err
	}
	include := func(name string, data interface{}) (string, error) {
		var output strings.Builder
		err := all.ExecuteTemplate(&output, name, data)
		return output.String(), err
	}
	return template.FuncMap{
		"include": include,
		"toYaml":  toYaml,
		"fromYaml": func(text string) (object, error) {
			read := object{}
			err := yaml.Unmarshal([]byte(text), &read)
			return read, err
		},
		"tpl": func(text string, data interface{}) (string, error) {
			clone, err := all.Clone()
			if err != nil {
				return "", err
			}
			parsed, err := clone.New("tpl").Parse(text)
			if err != nil {
				return "", err
			}
			var output strings.Builder
			err = parsed.Execute(&output, data)
			return output.String(), err
		},
		"required": func(message string, value interface{}) (interface{}, error) {
			if value == nil || value == "" {
				return nil, errors.New(message)
			}
			return value, nil
		},
		"fail": func(message string) (string, error) { return "", errors.New(message) },
		// As in `helm template`, there is no cluster to query.
		"lookup": func(_, _, _, _ string) object { return object{} },
	}
}
