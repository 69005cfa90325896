import { Argument, type Command } from "commander";
import { bashScript } from "./completion/bash.ts";
import { fishScript } from "./completion/fish.ts";
import { type Node, nodeOf } from "./completion/tree.ts";
import { zshScript } from "./completion/zsh.ts";

const SCRIPTS: Readonly<Record<string, (root: Node) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/**
 * `completion SHELL`: a script that completes the program's commands, flags, choices, files and folders. It is written from the
 * very tree that reads the command line and never calls the program back, so it works where the program may not run.
 * Both executables have it, so it imports nothing of either.
 */
export function completionCommand(program: Command, print: (text: string) => void): void {
  const name = program.name();
  program
    .command("completion")
    .description("print a script by which your shell completes commands, flags and files")
    .addArgument(new Argument("<shell>", "your shell").choices(Object.keys(SCRIPTS)))
    .addHelpText(
      "after",
      `
bash: ${name} completion bash > /etc/bash_completion.d/${name}
zsh:  ${name} completion zsh > /usr/local/share/zsh/site-functions/_${name}
fish: ${name} completion fish > /etc/fish/completions/${name}.fish`,
    )
    .action((shell: string) => {
      const script = SCRIPTS[shell];
      if (script === undefined) throw new Error("the shell was not checked");
      print(script(nodeOf(program)));
    });
}
