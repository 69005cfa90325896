import type { Entry } from "./audit/entry.ts";

/** Others' words on a terminal: control, format, surrogate and private-use characters become visible escapes. */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu,
    (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

type Refused = Extract<Entry, { kind: "refused" }>;

/** A refusal as DESIGN section 3 shows it, always in this order. */
export function refusalLines(cannot: string, entry: Refused): string[] {
  const asked =
    entry.action === "scale"
      ? String(entry.asked["count"] ?? "-")
      : Object.values(entry.asked).slice(0, 3).flat().join(" ");
  const facts = [
    `found ${entry.found ?? "not read"}`,
    `asked ${asked || "-"}`,
    `limit ${entry.limit ?? "-"}`,
    "changed nothing",
    `entry ${entry.index}`,
    `code ${entry.code}`,
  ];
  return [
    `error: Cannot ${printable(cannot)}: ${printable(entry.because)}.`,
    `  ${facts.map(printable).join("   ")}`,
    `hint: ${printable(entry.hint)}`,
  ];
}

/** A message to the operator in the same manner. */
export function complaint(cannot: string, because: string, hint: string): string {
  return `error: Cannot ${printable(cannot)}: ${printable(because)}.\nhint: ${printable(hint)}\n`;
}
