/** Words as man(7) takes them: nothing in them is read as a request or an escape. */
export function escaped(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll("'", "\\(aq")
    .replaceAll("`", "\\(ga")
    .replaceAll("^", "\\(ha")
    .replaceAll("~", "\\(ti")
    .replace(/^\./gm, "\\&.");
}

/** What is shown as it stands, line by line, a little indented. */
export function verbatim(text: string): string {
  return `.PP\n.RS 2\n.nf\n${escaped(text.replace(/^\n+|\n+$/g, ""))}\n.fi\n.RE\n`;
}

/** One thing and what is said of it. */
export function item(term: string, words: string): string {
  return `.TP\n${term}\n${words === "" ? "\\&" : words}\n`;
}

/** Code spans, emphasis and links of Markdown. */
export function inline(markdown: string): string {
  return markdown
    .split(/(`[^`]*`)/)
    .map((part) =>
      part.startsWith("`") && part.endsWith("`") && part.length > 1
        ? `\\fB${escaped(part.slice(1, -1).replaceAll("\\|", "|"))}\\fR`
        : escaped(part.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").replace(/\*\*/g, "")).replace(
            /\*(\S[^*]*)\*/g,
            "\\fI$1\\fR",
          ),
    )
    .join("");
}

/**
 * A section of a page of docs/ as man(7): paragraphs, tables (each row an item), lists and code. Throws when there is no such section, so
 * that no page is made of nothing. `heading` is the whole line.
 */
export function sectionOf(page: string, heading: string): string {
  const lines = page.split("\n");
  const start = lines.indexOf(heading);
  if (start < 0) throw new Error(`there is no ${JSON.stringify(heading)}`);
  const rest = lines.slice(start + 1);
  const end = rest.findIndex((line) => /^#{1,2} /.test(line));
  return blocks(end < 0 ? rest : rest.slice(0, end)).join("");
}

function blocks(lines: readonly string[]): string[] {
  const made: string[] = [];
  for (let at = 0; at < lines.length; ) {
    const line = lines[at] ?? "";
    const take = (belongs: (line: string) => boolean): string[] => {
      const from = at;
      do at += 1;
      while (at < lines.length && belongs(lines[at] ?? ""));
      return lines.slice(from, at);
    };
    if (line.trim() === "") at += 1;
    else if (line.startsWith("```")) {
      const code = take((next) => next !== "```");
      at += 1;
      made.push(verbatim(code.slice(1).join("\n")));
    } else if (line.startsWith("    ")) made.push(verbatim(take((next) => next.startsWith("    ")).join("\n")));
    else if (line.startsWith("### ")) {
      made.push(`.SS ${inline(line.slice(4))}\n`);
      at += 1;
    } else if (line.startsWith("|")) made.push(...rowsOf(take((next) => next.startsWith("|"))));
    else if (/^(?:- |\d+\. )/.test(line)) {
      const [, mark = "", words = ""] =
        /^(-|\d+\.) (.*)$/s.exec(take((next) => /^ {2,}\S/.test(next)).join("\n")) ?? [];
      made.push(`.IP ${mark === "-" ? "\\(bu 2" : `${mark} 4`}\n${paragraph(words)}\n`);
    } else made.push(`.PP\n${paragraph(take((next) => /^[^\s|#`-]/.test(next) || /^`[^`]/.test(next)).join("\n"))}\n`);
  }
  return made;
}

function paragraph(text: string): string {
  return inline(text.replace(/\s*\n\s*/g, "\n"));
}

/** The first cell is the term; the others follow it, under their column's name from the third on. */
function rowsOf(table: readonly string[]): string[] {
  const [head = [], , ...rows] = table.map(cellsOf);
  return rows.map(([term = "", words = "", ...more]) => {
    const others = more.map((cell, at) =>
      cell === "" ? "" : `\n.br\n\\fI${escaped(head[at + 2] ?? "")}:\\fR ${inline(cell)}`,
    );
    return item(inline(term), inline(words) + others.join(""));
  });
}

function cellsOf(row: string): string[] {
  const cells: string[] = [""];
  let code = false;
  for (const [at, character] of [...row.trim().replace(/^\||\|$/g, "")].entries()) {
    if (character === "`") code = !code;
    if (character === "|" && !code && row[at] !== "\\") cells.push("");
    else cells[cells.length - 1] += character;
  }
  return cells.map((cell) => cell.trim());
}
