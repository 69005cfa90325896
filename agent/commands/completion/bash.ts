import { everyNode, identifier, type Node, type Value } from "./tree.ts";

/** For bash 4 and newer, without the bash-completion package. It walks the words to find the command that is being written. */
export function bashScript(root: Node): string {
  const name = identifier(root.program);
  const nodes = everyNode(root);
  return `# Completion of ${root.program} for bash, written by \`${root.program} completion bash\`.
${name}() {
  local at="" value="" many="" word i
  local current="\${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    # --config=FILE is three words.
    [[ $word == "=" ]] && continue
    if [[ -n $value ]]; then
      if [[ -z $many ]]; then value=""; continue; fi
      [[ $word != -* ]] && continue
      value="" many=""
    fi
    case "$at $word" in
${nodes.flatMap(steps).join("\n")}
    esac
  done
  [[ $current == "=" ]] && current=""
  if [[ -n $many && $current == -* ]]; then value=""; fi
  if [[ -z $value ]]; then
    if [[ $current == -* ]]; then
      case "$at" in
${nodes.map((node) => `        "${node.path.join(" ")}") value="words:${node.flags.flatMap(({ names }) => names).join(" ")}" ;;`).join("\n")}
      esac
    else
      case "$at" in
${nodes.map((node) => `        "${node.path.join(" ")}") value="${operandCode(node)}" ;;`).join("\n")}
      esac
    fi
  fi
  case "$value" in
    words:*) mapfile -t COMPREPLY < <(compgen -W "\${value#words:}" -- "$current") ;;
    file) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    folder) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
    program) mapfile -t COMPREPLY < <(compgen -c -- "$current") ;;
  esac
}
complete -F ${name} ${root.program}
`;
}

/** Where a word leads: to a command below, or to a flag's value. */
function steps(node: Node): string[] {
  const at = node.path.join(" ");
  const down = node.children.map((child) => `      "${at} ${child.path.at(-1)}") at="${child.path.join(" ")}" ;;`);
  const values = node.flags.flatMap(({ names, value, many }) =>
    value === null
      ? []
      : [
          `      ${names.map((name) => `"${at} ${name}"`).join("|")}) value="${code(value)}"${many ? " many=1" : ""} ;;`,
        ],
  );
  return [...down, ...values];
}

function operandCode(node: Node): string {
  if (node.children.length > 0) return `words:${node.children.map(({ path }) => path.at(-1)).join(" ")}`;
  return node.operand === null ? "anything" : code(node.operand);
}

function code(value: Value): string {
  return value.kind === "choices" ? `words:${value.choices.join(" ")}` : value.kind;
}
