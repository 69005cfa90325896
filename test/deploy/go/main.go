// Prints a folder's Terraform files as JSON, read by HashiCorp's own parser: each block with its labels, its attributes as written (a
// constant as its value) and its blocks.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

type block struct {
	Type       string         `json:"type"`
	Labels     []string       `json:"labels"`
	Attributes map[string]any `json:"attributes"`
	Blocks     []block        `json:"blocks"`
}

func fail(what any) {
	fmt.Fprintln(os.Stderr, what)
	os.Exit(1)
}

func valueOf(expression hclsyntax.Expression, source []byte) any {
	value, diagnostics := expression.Value(nil)
	if diagnostics.HasErrors() || !value.IsWhollyKnown() {
		return map[string]string{"written": string(expression.Range().SliceBytes(source))}
	}
	text, err := ctyjson.Marshal(value, value.Type())
	if err != nil {
		fail(err)
	}
	return json.RawMessage(text)
}

func blocksOf(body *hclsyntax.Body, source []byte) []block {
	found := []block{}
	for _, one := range body.Blocks {
		attributes := map[string]any{}
		for name, attribute := range one.Body.Attributes {
			attributes[name] = valueOf(attribute.Expr, source)
		}
		found = append(found, block{one.Type, append([]string{}, one.Labels...), attributes, blocksOf(one.Body, source)})
	}
	return found
}

func main() {
	paths, err := filepath.Glob(filepath.Join(os.Args[1], "*.tf"))
	if err != nil || len(paths) == 0 {
		fail("there are no Terraform files")
	}
	parser := hclparse.NewParser()
	all := []block{}
	for _, path := range paths {
		file, diagnostics := parser.ParseHCLFile(path)
		if diagnostics.HasErrors() {
			fail(diagnostics)
		}
		body, good := file.Body.(*hclsyntax.Body)
		if !good {
			fail(hcl.Range{Filename: path})
		}
		all = append(all, blocksOf(body, file.Bytes)...)
	}
	if err := json.NewEncoder(os.Stdout).Encode(all); err != nil {
		fail(err)
	}
}
