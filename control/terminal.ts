/** Others' words as they may reach a terminal: control, format, private and separator characters become visible escapes. */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu,
    (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/** What an operator hears instead of a result. `exit`: NAMES.md's codes. */
export class Complaint extends Error {
  constructor(
    readonly exit: 1 | 2 | 3 | 4 | 5 | 6 | 8,
    readonly cannot: string,
    readonly because: string,
    readonly hint: string,
  ) {
    super(`Cannot ${cannot}: ${because}.`);
    this.name = "Complaint";
  }
}

export function complaintText(complaint: Complaint): string {
  return `error: ${printable(complaint.message)}\nhint: ${printable(complaint.hint)}\n`;
}

/** A line of a server's own log: our own mistake, or the disk's. Whoever called learns nothing of it. */
export function sayTrouble(what: string, error: unknown): void {
  process.stderr.write(
    `${JSON.stringify({ time: new Date().toISOString(), level: "error", what, error: String(error) })}\n`,
  );
}

/** Seconds of `90s`, `15m`, `1h`, `30d`; throws a Complaint of usage. */
export function seconds(text: string, cannot: string): number {
  const match = /^([1-9]\d{0,8})([smhd])$/.exec(text);
  const unit = { s: 1, m: 60, h: 3600, d: 86400 }[match?.[2] ?? ""];
  if (match === null || unit === undefined)
    throw new Complaint(
      2,
      cannot,
      `${JSON.stringify(text)} is no duration`,
      "Write an integer and a unit: 90s, 15m, 1h, 30d.",
    );
  return Number(match[1]) * unit;
}

/** Columns for a person, the first row their heads; lines below it as they are. Others' words in it are made harmless. */
export function table(rows: readonly (readonly string[])[], below: readonly string[]): string {
  const clean = rows.map((row) => row.map(printable));
  const widths = (clean[0] ?? []).map((_, column) => Math.max(...clean.map((row) => (row[column] ?? "").length)));
  const body = clean.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  return `${[...body, ...below.map(printable)].join("\n")}\n`;
}
