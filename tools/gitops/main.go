// gitops-verdict says what GitOps engines would make of an object, with the libraries that they use themselves.
//
//	gitops-verdict kstatus               object on standard input -> {"status","message"}        (Flux, kpt, Argo CD's waves)
//	gitops-verdict health SCRIPT         object on standard input -> {"status","message"}        (Argo CD)
//	gitops-verdict actions SCRIPT        object on standard input -> {"name":{"disabled":bool}}  (Argo CD, discovery)
//	gitops-verdict action SCRIPT         object on standard input -> [{"operation","resource"}]  (Argo CD)
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	object := map[string]any{}
	decoder := json.NewDecoder(os.Stdin)
	if err := decoder.Decode(&object); err != nil {
		return fmt.Errorf("standard input is no JSON object: %w", err)
	}
	var verdict any
	var err error
	switch {
	case len(arguments) == 1 && arguments[0] == "kstatus":
		verdict, err = kstatus(object)
	case len(arguments) == 2 && (arguments[0] == "health" || arguments[0] == "actions" || arguments[0] == "action"):
		verdict, err = script(arguments[1], object)
	default:
		err = errors.New("say kstatus, health SCRIPT, actions SCRIPT or action SCRIPT")
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(verdict)
}

func kstatus(object map[string]any) (any, error) {
	// Whole numbers are int64 to the library, as its own client decodes them.
	integers(object)
	result, err := status.Compute(&unstructured.Unstructured{Object: object})
	if err != nil {
		return nil, err
	}
	return map[string]string{"status": result.Status.String(), "message": result.Message}, nil
}

func integers(value any) any {
	switch typed := value.(type) {
	case map[string]any:
		for key, inner := range typed {
			typed[key] = integers(inner)
		}
	case []any:
		for index, inner := range typed {
			typed[index] = integers(inner)
		}
	case float64:
		if typed == float64(int64(typed)) {
			return int64(typed)
		}
	}
	return value
}

// script runs a script as Argo CD does: a virtual machine with the table `obj`, and few libraries.
func script(path string, object map[string]any) (any, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	machine := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer machine.Close()
	// Those that Argo CD opens without `useOpenLibs`, its `os` with nothing but the clock.
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{
		{lua.LoadLibName, lua.OpenPackage},
		{lua.BaseLibName, lua.OpenBase},
		{lua.TabLibName, lua.OpenTable},
		{lua.StringLibName, lua.OpenString},
		{lua.MathLibName, lua.OpenMath},
		{lua.OsLibName, openSafeOs},
	} {
		if err := machine.CallByParam(lua.P{Fn: machine.NewFunction(library.open), NRet: 0, Protect: true}, lua.LString(library.name)); err != nil {
			return nil, err
		}
	}
	machine.SetGlobal("obj", toLua(machine, object))
	if err := machine.DoString(string(text)); err != nil {
		return nil, err
	}
	table, ok := machine.Get(-1).(*lua.LTable)
	if !ok {
		return nil, fmt.Errorf("%s returns no table", path)
	}
	return fromLua(table), nil
}

func openSafeOs(machine *lua.LState) int {
	module := machine.RegisterModule(lua.OsLibName, map[string]lua.LGFunction{
		"time": func(state *lua.LState) int { state.Push(lua.LNumber(1767225600)); return 1 },
		"date": func(state *lua.LState) int { state.Push(lua.LString("2026-01-01T00:00:00Z")); return 1 },
	})
	machine.Push(module)
	return 1
}

func toLua(machine *lua.LState, value any) lua.LValue {
	switch typed := value.(type) {
	case map[string]any:
		table := machine.CreateTable(0, len(typed))
		for key, inner := range typed {
			table.RawSetString(key, toLua(machine, inner))
		}
		return table
	case []any:
		table := machine.CreateTable(len(typed), 0)
		for _, inner := range typed {
			table.Append(toLua(machine, inner))
		}
		return table
	case string:
		return lua.LString(typed)
	case float64:
		return lua.LNumber(typed)
	case bool:
		return lua.LBool(typed)
	}
	return lua.LNil
}

func fromLua(value lua.LValue) any {
	switch typed := value.(type) {
	case *lua.LTable:
		if length := typed.MaxN(); length > 0 {
			list := make([]any, 0, length)
			for index := 1; index <= length; index++ {
				list = append(list, fromLua(typed.RawGetInt(index)))
			}
			return list
		}
		object := map[string]any{}
		typed.ForEach(func(key, inner lua.LValue) { object[key.String()] = fromLua(inner) })
		return object
	case lua.LString:
		return string(typed)
	case lua.LNumber:
		return float64(typed)
	case lua.LBool:
		return bool(typed)
	}
	return nil
}
