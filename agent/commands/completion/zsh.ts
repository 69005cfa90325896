import { everyNode, type Flag, identifier, type Node, type Value } from "./tree.ts";

/** For zsh's compsys: one function for each command, by `_arguments`. */
export function zshScript(root: Node): string {
  const name = identifier(root.program);
  return `#compdef ${root.program}
# Completion of ${root.program} for zsh, written by \`${root.program} completion zsh\`.
${everyNode(root).map(functionOf).join("\n")}
# Loaded by compsys it is called at once; sourced it announces itself.
if [[ "$funcstack[1]" == "_${root.program}" ]]; then
  ${name} "$@"
else
  compdef ${name} ${root.program}
fi
`;
}

function functionOf(node: Node): string {
  const flags = node.flags.map(flagSpec);
  if (node.children.length === 0) {
    const specs =
      node.operand === null ? flags : [...flags, quote(`1:${message(node.operand)}:${action(node.operand)}`)];
    return `${functionName(node)}() {\n  _arguments -S \\\n    ${specs.join(" \\\n    ")}\n}\n`;
  }
  const commands = node.children.map((child) => quote(`${child.path.at(-1)}:${child.words}`));
  const cases = node.children.map((child) => `      ${child.path.at(-1)}) ${functionName(child)} ;;`);
  return `${functionName(node)}() {
  local curcontext="$curcontext" state line
  typeset -A opt_args
  _arguments -C -S \\
    ${[...flags, quote("1:command:->command"), quote("*::argument:->rest")].join(" \\\n    ")}
  case $state in
  command)
    local -a commands
    commands=(
      ${commands.join("\n      ")}
    )
    _describe -t commands command commands
    ;;
  rest)
    case $words[1] in
${cases.join("\n")}
    esac
    ;;
  esac
}
`;
}

function functionName(node: Node): string {
  return identifier(node.program, ...node.path);
}

/** `'(-f --follow)'{-f,--follow}'[words]:value:_files'`. */
function flagSpec({ names, words, value, many }: Flag): string {
  const what = value === null ? "" : `:${message(value)}:${action(value)}`;
  // With or without `=`.
  const is = value === null ? "" : "=";
  const tail = quote(`[${words.replace(/[\][:\\]/g, "\\$&")}]${what}`);
  const spelt = names.map((name) => (name.startsWith("--") ? name + is : name));
  const before = many ? "'*'" : names.length === 1 ? "" : `'(${names.join(" ")})'`;
  return `${before}${spelt.length === 1 ? spelt[0] : `{${spelt.join()}}`}${tail}`;
}

function message(value: Value): string {
  return value.kind === "anything" ? value.name.replaceAll(":", "\\:") : value.kind;
}

function action(value: Value): string {
  switch (value.kind) {
    case "choices":
      return `(${value.choices.join(" ")})`;
    case "file":
      return "_files";
    case "folder":
      return "_files -/";
    case "program":
      return "_command_names -e";
    case "anything":
      return " ";
  }
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
