import type { Verdict } from "./check.ts";
import { facts, h } from "./dom.ts";
import type { FromWorker } from "./messages.ts";
import { plain, timeWords } from "./words.ts";

/** How far the log was checked in this browser, and by whom it is vouched for and witnessed. */
export function verdictView(
  section: HTMLElement,
  message: Extract<FromWorker, { kind: "progress" | "verdict" | "failed" }>,
): void {
  switch (message.kind) {
    case "progress":
      section.dataset["state"] = "checking";
      section.replaceChildren(
        h("p", {}, `Checking the log in this browser: ${message.lines.toLocaleString("en")} entries so far`),
      );
      return;
    case "failed":
      section.dataset["state"] = "damaged";
      section.replaceChildren(h("p", {}, h("strong", {}, "The log could not be checked: "), plain(message.because)));
      return;
    case "verdict":
      show(section, message.verdict);
  }
}

function show(section: HTMLElement, verdict: Verdict): void {
  section.dataset["state"] = stateOf(verdict);
  section.replaceChildren(
    h(
      "details",
      { open: verdict.state !== "whole" },
      h("summary", {}, h("strong", {}, headline(verdict)), ` ${sizeWords(verdict)}`),
      facts([
        ["Damage", verdict.damage === null ? null : `entry ${verdict.damage.index}: ${plain(verdict.damage.because)}`],
        ["Missing", verdict.missing.map(({ from, to }) => `${from} to ${to - 1}`).join(", ")],
        ["Log", plain(verdict.origin ?? "not named")],
        ["Heads", headWords(verdict)],
        [
          "Vouched for by",
          verdict.vouched === null
            ? `nobody: ${plain(verdict.unvouched ?? "-")}`
            : `${plain(verdict.vouched.by)}, SHA-256 ${verdict.vouched.sha256}`,
        ],
        ["Witnessed by", witnessView(verdict)],
      ]),
    ),
  );
}

type Shown = "damaged" | "incomplete" | "unvouched" | "unwitnessed" | "control-plane" | "witnessed";

/** Witnessed is what a witness has seen all of: what is newer than its cosignature could have been cut off. */
export function stateOf(verdict: Verdict): Shown {
  if (verdict.state !== "whole") return verdict.state;
  if (verdict.vouched === null) return "unvouched";
  const seenBy = verdict.witnesses.filter(({ size }) => size > 0 && size >= verdict.size).map(({ of }) => of);
  if (seenBy.includes("owner")) return "witnessed";
  return seenBy.length > 0 ? "control-plane" : "unwitnessed";
}

const HEADLINES: Readonly<Record<Shown, string>> = {
  damaged: "Damaged.",
  incomplete: "Incomplete: what is here is whole.",
  unvouched: "Whole, but nobody vouches for its key.",
  unwitnessed: "Whole; the newest could have been cut off, for nobody has witnessed them.",
  "control-plane": "Whole, and witnessed by the control plane only.",
  witnessed: "Whole and witnessed beyond the control plane.",
};

function headline(verdict: Verdict): string {
  return HEADLINES[stateOf(verdict)];
}

export function sizeWords({ size, from, newest }: Verdict): string {
  const read = `${(size - from).toLocaleString("en")} entries were read and hashed here.`;
  const covered = newest?.size ?? 0;
  if (covered >= size) return read;
  return `${read} No signed head that holds covers those from entry ${Math.max(covered, from)} on.`;
}

function headWords({ heads, newest, keys }: Verdict): string {
  if (newest === null) return "none holds";
  return `${heads} hold, signed by ${keys === 1 ? "one key" : `${keys} keys, each in its range`}; the newest covers ${newest.size} entries, of ${timeWords(newest.time)}`;
}

function witnessView({ witnesses }: Verdict): Node | string {
  if (witnesses.length === 0) return "nobody: no witness was named";
  const words = witnesses.map(({ name, of, size, time }) => {
    const who = `${plain(name)}${of === "control-plane" ? " (the control plane's)" : ""}`;
    if (size === 0) return `${who}: nothing yet`;
    return `${who}: up to entry ${size - 1}, at ${timeWords(new Date(time * 1000).toISOString())}`;
  });
  return h("ul", {}, ...words.map((text) => h("li", {}, text)));
}
