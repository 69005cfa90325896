/** Plays docs/POLICY.md: writes the files that it shows, runs the commands that it shows, and puts what they print into its place. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const PAGE = new URL("../../docs/POLICY.md", import.meta.url).pathname;
const MAIN = new URL("../../agent/main.ts", import.meta.url).pathname;

/** Words as a shell would split them: quoted by single quotes or not. */
function words(line: string): readonly string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");
}

function ran(line: string, folder: string): string {
  const [program, ...args] = words(line);
  if (program !== "reeve") throw new Error(`the page runs another program: ${line}`);
  const done = Bun.spawnSync([process.execPath, MAIN, ...args], {
    cwd: folder,
    env: { PATH: "/usr/bin:/bin" },
    timeout: 60_000,
  });
  const printed = `${done.stdout.toString()}${done.stderr.toString()}`;
  return done.exitCode === 0 ? printed : `${printed}(exit code ${done.exitCode})\n`;
}

/** The page as it would be today, and how many files and commands it shows. */
export function played(page: string): { readonly page: string; readonly files: number; readonly commands: number } {
  const folder = mkdtempSync(join(tmpdir(), "reeve-tutorial-"));
  let [files, commands] = [0, 0];
  try {
    const shown = /`([a-z.]+)`:\n\n```[a-z]+\n([\s\S]*?)```|```console\n\$ ([^\n]+)\n[\s\S]*?```/g;
    const text = page.replace(
      shown,
      (all, name: string | undefined, content: string | undefined, command: string | undefined) => {
        if (name !== undefined) {
          files += 1;
          writeFileSync(join(folder, name), content ?? "");
          return all;
        }
        commands += 1;
        return `\`\`\`console\n$ ${command}\n${ran(command ?? "", folder)}\`\`\``;
      },
    );
    return { page: text, files, commands };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** `bun test/policy/tutorial.ts` writes the page anew. */
if (import.meta.main) writeFileSync(PAGE, played(readFileSync(PAGE, "utf8")).page);
