import { everyNode, type Flag, identifier, type Node, type Value } from "./tree.ts";

/** For fish 3 and newer: one line for each command and flag, bound to the command that is being written. */
export function fishScript(root: Node): string {
  const at = `_${identifier(root.program, "at")}`;
  const nodes = everyNode(root);
  return `# Completion of ${root.program} for fish, written by \`${root.program} completion fish\`.
function ${at}
    set -l at ""
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip -eq 1
            set skip 0
            continue
        end
        switch "$at $word"
${nodes.flatMap(steps).join("\n")}
        end
    end
    test "$at" = "$argv[1]"
end
complete -c ${root.program} -f
${nodes.flatMap((node) => linesOf(node, at)).join("\n")}
`;
}

function steps(node: Node): string[] {
  const at = node.path.join(" ");
  const flags = node.flags.filter(({ value }) => value !== null).flatMap(({ names }) => names);
  const skip =
    flags.length === 0
      ? []
      : [`            case ${flags.map((name) => `"${at} ${name}"`).join(" ")}`, "                set skip 1"];
  return [
    ...node.children.flatMap((child) => [
      `            case "${at} ${child.path.at(-1)}"`,
      `                set at "${child.path.join(" ")}"`,
    ]),
    ...skip,
  ];
}

function linesOf(node: Node, at: string): string[] {
  const start = `complete -c ${node.program} -n '${at} "${node.path.join(" ")}"'`;
  const commands = node.children.map((child) => `${start} -a ${child.path.at(-1)} -d ${quote(child.words)}`);
  const operand = node.operand === null || node.children.length > 0 ? "" : takes(node.operand).replace(/^-[rx] ?/, "");
  return [
    ...commands,
    ...(operand === "" ? [] : [`${start} ${operand}`]),
    ...node.flags.map((flag) => `${start} ${flagText(flag)}`),
  ];
}

function flagText({ names, words, value }: Flag): string {
  const spelt = names.map((name) => (name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
  return [...spelt, ...(value === null ? [] : [takes(value)]), `-d ${quote(words)}`].join(" ");
}

function takes(value: Value): string {
  switch (value.kind) {
    case "choices":
      return `-x -a '${value.choices.join(" ")}'`;
    case "file":
      return "-r -F";
    case "folder":
      return "-x -a '(__fish_complete_directories)'";
    case "program":
      return "-x -a '(__fish_complete_command)'";
    case "anything":
      return "-x";
  }
}

function quote(text: string): string {
  return `'${text.replace(/[\\']/g, "\\$&")}'`;
}
