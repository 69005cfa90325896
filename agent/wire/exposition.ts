/**
 * Numbers as text for those that collect them: OpenMetrics 1.0 (https://github.com/prometheus/OpenMetrics, `application/openmetrics-text`), and the
 * older text format 0.0.4 that node_exporter's textfile collector reads. Pure. Names and labels are ours; only labels' values are others'.
 */
export type Sample = {
  /** What stands behind the family's name, without `_total` and `_info`: `_bucket`, `_count`, `_sum` of a histogram. */
  readonly suffix?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
};
export type Family = {
  /** Without `_total` and `_info`; with its unit at the end where it has one. */
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram" | "gaugehistogram" | "info";
  readonly unit?: "seconds" | "bytes";
  readonly help: string;
  readonly samples: readonly Sample[];
};
export const OPEN_METRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const SUFFIX = { counter: "_total", info: "_info" } as const;

export function gauge(name: string, help: string, samples: readonly Sample[], unit?: Family["unit"]): Family {
  return { name, type: "gauge", help, samples, ...(unit === undefined ? {} : { unit }) };
}

export function counter(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, type: "counter", help, samples };
}

/** A family without samples is left out: nothing is known of it. */
export function openMetrics(families: readonly Family[]): string {
  const lines = families
    .filter(isKnown)
    .flatMap((family) => [
      `# TYPE ${family.name} ${family.type}`,
      ...(family.unit === undefined ? [] : [`# UNIT ${family.name} ${family.unit}`]),
      `# HELP ${family.name} ${escaped(family.help)}`,
      ...family.samples.map((sample) => line(`${family.name}${suffixOf(family, sample)}`, sample)),
    ]);
  return `${[...lines, "# EOF"].join("\n")}\n`;
}

/** Format 0.0.4, which knows no `info`, no unit and no end. Throws for a kind of histogram that it has not. */
export function plainText(families: readonly Family[]): string {
  const lines = families.filter(isKnown).flatMap((family) => {
    if (family.type === "gaugehistogram") throw new Error(`${family.name} cannot be said in this format`);
    const name = `${family.name}${suffixOf(family, {})}`;
    return [
      `# HELP ${name} ${family.help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`,
      `# TYPE ${name} ${family.type === "info" ? "gauge" : family.type}`,
      ...family.samples.map((sample) => line(`${family.name}${suffixOf(family, sample)}`, sample)),
    ];
  });
  return `${lines.join("\n")}\n`;
}

function isKnown({ samples }: Family): boolean {
  return samples.length > 0;
}

function suffixOf({ type }: Family, { suffix }: Pick<Sample, "suffix">): string {
  return type === "counter" || type === "info" ? SUFFIX[type] : (suffix ?? "");
}

function line(name: string, { labels = {}, value }: Sample): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
  return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${numberText(value)}`;
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  return String(value);
}

/** As both formats want a label's value: nothing in it ends the value or the line. A lone surrogate is no UTF-8. */
function escaped(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\\"\n]/g, (char) => (char === "\n" ? "\\n" : `\\${char}`))
    .replaceAll("\r", " ");
}
