import type { RootEntry } from "./tree.ts";

/**
 * One line of an mtree specification (mtree(5), as libarchive writes it): path, kind, mode, owner, and what it holds. Whatever is no plain
 * character is written as an octal escape, so that no name can look like another line.
 */
export function mtreeLine({ path, kind, mode, uid, gid, holds }: RootEntry): string {
  const what = {
    file: ` sha256digest=${holds}`,
    link: ` link=${escaped(holds)}`,
    char: ` device=${holds}`,
    block: ` device=${holds}`,
    dir: "",
    fifo: "",
    socket: "",
  }[kind];
  return `./${escaped(path)} type=${kind} mode=${mode.toString(8)} uid=${uid} gid=${gid}${what}\n`;
}

/** The line's path, still escaped; what is behind it is compared as it is. */
export function splitLine(line: string): readonly [string, string] {
  const at = line.indexOf(" ");
  return [line.slice(2, at), line.slice(at + 1)];
}

function escaped(text: string): string {
  return text.replace(/[^!-~]|[\\#=*?[]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, "0")}`);
}
