import type { Argument, Command, Option } from "commander";

/** What may stand in a place. By the placeholder's name: `<file>`, `<folder>` and `<command>` say what they are. */
export type Value =
  | { readonly kind: "file" | "folder" | "program" }
  /** Only its name is known: `duration`. */
  | { readonly kind: "anything"; readonly name: string }
  | { readonly kind: "choices"; readonly choices: readonly string[] };
export type Flag = {
  /** `-f`, `--follow`. */
  readonly names: readonly string[];
  readonly words: string;
  /** Null: it takes none. */
  readonly value: Value | null;
  /** It takes several values, up to the next flag. */
  readonly many: boolean;
};
/** A command with its flags, those of the commands above it too: they may be written after it as well. */
export type Node = {
  /** Empty for the program itself. */
  readonly path: readonly string[];
  readonly program: string;
  readonly words: string;
  readonly flags: readonly Flag[];
  readonly children: readonly Node[];
  /** What stands after its name, when that is no command. */
  readonly operand: Value | null;
};

/** The tree of a program's commands as it is at this moment. Throws on a name that a shell would take apart: our own mistake. */
export function nodeOf(program: Command): Node {
  return node(program, program.name(), [], []);
}

function node(command: Command, program: string, path: readonly string[], above: readonly Flag[]): Node {
  const help = command.createHelp();
  const flags = help.visibleOptions(command).map(flagOf);
  const inherited = [
    ...flags.filter(({ names }) => !names.includes("--help") && !names.includes("--version")),
    ...above,
  ];
  const [argument] = command.registeredArguments;
  return {
    path,
    program,
    words: command.description(),
    flags: [...flags, ...above],
    children: help
      .visibleCommands(command)
      .filter((child) => child.name() !== "help")
      .map((child) => node(child, program, [...path, plain(child.name())], inherited)),
    operand: argument === undefined ? null : placeOf(argument.argChoices, argument.name()),
  };
}

function flagOf(option: Option): Flag {
  const names = [option.short, option.long].filter((name) => name !== undefined && name !== null).map(plain);
  const placeholder = /[<[]([^>\].]+)/.exec(option.flags)?.[1] ?? "";
  const takes = option.required || option.optional;
  return {
    names,
    words: option.description,
    value: takes ? placeOf(option.argChoices, placeholder) : null,
    many: option.variadic,
  };
}

function placeOf(choices: Argument["argChoices"], placeholder: string): Value {
  if (choices !== undefined && choices.length > 0) return { kind: "choices", choices: choices.map(plain) };
  if (placeholder === "file" || placeholder === "folder") return { kind: placeholder };
  return placeholder === "command" ? { kind: "program" } : { kind: "anything", name: plain(placeholder) };
}

function plain(name: string): string {
  if (!/^[A-Za-z0-9:-]+$/.test(name)) throw new Error(`${JSON.stringify(name)} cannot stand in a shell's script`);
  return name;
}

export function everyNode(root: Node): readonly Node[] {
  return [root, ...root.children.flatMap(everyNode)];
}

/** A name for the shell's own functions: `_reeve_control`. */
export function identifier(...words: readonly string[]): string {
  return `_${words.join("_").replaceAll("-", "_")}`;
}
